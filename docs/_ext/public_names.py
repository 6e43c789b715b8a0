"""The reference of the public names, by what they are for."""

import inspect

import hierrouter_jax
import hierrouter_jax.envs

GROUPS = {
    "Outcome tables": ("OutcomeTable", "Query", "HopTree", "load_table", "save_table"),
    "Collecting and routing live": ("collect", "route"),
    "Training": (
        "train_routers",
        "TrainConfig",
        "TrainedRouter",
        "load_routers",
        "train",
        "LearnerStatic",
        "LearnerHyper",
        "static_of",
        "fit_features",
        "RewardWeights",
    ),
    "Evaluation": ("evaluate", "policy_outcome", "PolicyOutcome", "ending_at", "paired_difference", "build_report"),
    "Many runs": ("sweep", "search", "SweepConfig", "SweepResult", "load_sweep"),
    "Policies": ("PolicyBundle",),
    "Errors": ("InputError",),
}


def reference() -> str:
    """A section for each group, with whatever no group names at the end, and one for the environment."""
    names = [name for name in hierrouter_jax.__all__ if not name.startswith("__")]
    grouped = {title: [name for name in group if name in names] for title, group in GROUPS.items()}
    rest = sorted(set(names) - {name for group in grouped.values() for name in group})
    sections = [entries(title, "hierrouter_jax", group) for title, group in (grouped | {"Further names": rest}).items()]
    environment = entries("The environment: hierrouter_jax.envs", "hierrouter_jax.envs", hierrouter_jax.envs.__all__)
    return "\n\n".join(filter(None, [*sections, environment]))


def entries(title: str, module: str, names: list[str]) -> str:
    if not names:
        return ""
    home = __import__(module, fromlist=names)
    lines = [line for name in names for line in entry(f"{module}.{name}", getattr(home, name))]
    return "\n".join([f"## {title}", "", "```{eval-rst}", *lines, "```"])


def entry(name: str, value: object) -> list[str]:
    """The lines that have autodoc describe a class with its documented methods, or a function."""
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", ""]
    return [f".. autofunction:: {name}", ""]
