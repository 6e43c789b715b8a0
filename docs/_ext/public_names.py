"""The reference of the public names, by what they are for."""

import inspect
import re
from collections.abc import Iterator

import hierrouter_jax
import hierrouter_jax.envs

GROUPS = {
    "Outcome tables": (
        "OutcomeTable",
        "Query",
        "PricedModel",
        "NGramEncoder",
        "decision_contexts",
        "HopTree",
        "load_table",
        "save_table",
        "sign",
        "tables",
        "import_outcomes",
        "ImportConfig",
        "regrade",
    ),
    "The whole job": ("quickstart", "QuickstartConfig"),
    "Collecting and routing live": (
        "collect",
        "route",
        "Context",
        "Item",
        "Verdict",
        "build_encoder",
        "count_truncated",
    ),
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
        "rollout",
        "apply_gradient",
    ),
    "Evaluation": ("evaluate", "policy_outcome", "PolicyOutcome", "ending_at", "paired_difference", "build_report"),
    "Many runs": (
        "sweep",
        "train_many",
        "SweepConfig",
        "SweepResult",
        "load_sweep",
        "grid",
        "sobol",
        "uniform",
        "log_uniform",
    ),
    "Studies": (
        "compare",
        "CompareConfig",
        "Arm",
        "leaderboard",
        "LeaderboardConfig",
        "LearnerSpec",
        "calibrate",
        "transfer",
        "pool_agnostic",
        "worth",
        "report",
    ),
    "Hardware": ("data_mesh", "replicate", "shard_queries", "use_wide_vectors"),
    "Policies": ("PolicyBundle", "export", "ExportConfig", "TorchPolicy", "jax_policy"),
    "Serving": ("Router", "serve", "ServeConfig"),
    "Served traffic": (
        "read_log",
        "DecisionLog",
        "propensity_check",
        "replay_log",
        "LogWriter",
        "LogOptions",
        "Decision",
        "write_log",
        "episodes_of",
        "Episodes",
        "check_episodes",
        "simulate",
        "SimulateConfig",
        "Traffic",
        "estimate",
        "EstimateConfig",
        "loop",
        "LoopConfig",
        "import_log",
    ),
    "Errors": ("InputError",),
}


def reference() -> str:
    """A section for each group, with whatever no group names at the end, and one for the environment."""
    names = [name for name in hierrouter_jax.__all__ if not name.startswith("__")]
    grouped = {title: [name for name in group if name in names] for title, group in GROUPS.items()}
    rest = sorted(set(names) - {name for group in grouped.values() for name in group})
    sections = [entries(title, "hierrouter_jax", group) for title, group in (grouped | {"Further names": rest}).items()]
    own = [name for name in hierrouter_jax.envs.__all__ if name not in names]
    environment = entries("The environment: hierrouter_jax.envs", "hierrouter_jax.envs", own)
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


def as_rst(lines: list[str]) -> list[str]:
    """A docstring as autodoc needs it: stars are stars, and a field that names several things is one for each."""
    escaped = ["`".join(outside(part, place) for place, part in enumerate(line.split("`"))) for line in lines]
    return [line for text in escaped for line in apart(text)]


def outside(part: str, place: int) -> str:
    """Text between backticks (the odd places) stays as it is."""
    return part if place % 2 else part.replace("*", "\\*")


def apart(line: str) -> Iterator[str]:
    several = re.match(r"(\s+)(\w+(?:, \w+)+):(.*)", line)
    if not several:
        yield line
        return
    *first, last = several[2].split(", ")
    yield from (f"{several[1]}{name}: see `{last}`." for name in first)
    yield f"{several[1]}{last}:{several[3]}"
