"""The one list of opponents: every policy that a learned router is held against, by name."""

from functools import partial

from hierrouter_jax.baselines.bandit import GRID as BANDIT_GRID
from hierrouter_jax.baselines.bandit import fit_bandit
from hierrouter_jax.baselines.cascade import GRID as CASCADE_GRID
from hierrouter_jax.baselines.cascade import fit_cascade, fit_self_refinement
from hierrouter_jax.baselines.planning import (
    FAMILIES,
    PLANNERS,
    ROUTERS,
    fit_cascade_routing,
    fit_plan,
    fit_predicted_best,
)
from hierrouter_jax.baselines.problem import Opponent, Policy, Problem
from hierrouter_jax.baselines.sequences import (
    TASK_GRID,
    fit_best_sequence,
    fit_best_single_per_task,
    fit_one_model,
    fit_oracle,
    fit_random,
    fit_task_sequence,
)
from hierrouter_jax.outcomes.table import OutcomeTable

__all__ = ["ALWAYS", "OPPONENTS", "Opponent", "Policy", "Problem", "left_out", "opponents_of"]

OPPONENTS: dict[str, Opponent] = {
    "best-single": Opponent("single", True, partial(fit_best_sequence, fixed_length=False, hops=1)),
    "best-single-per-task": Opponent("single", True, fit_best_single_per_task),
    "best-sequence": Opponent(
        "sequence", False, partial(fit_best_sequence, fixed_length=True), shallowest=2, same_as="best-single"
    ),
    "task-sequence": Opponent("supervised", False, partial(fit_task_sequence, fixed_length=True), tried=TASK_GRID),
    "random": Opponent("random", False, partial(fit_random, allow_stop=False), weighted=False),
    "best-sequence+stop": Opponent(
        "sequence", True, partial(fit_best_sequence, fixed_length=False), shallowest=2, same_as="best-single"
    ),
    "task-sequence+stop": Opponent(
        "supervised",
        True,
        partial(fit_task_sequence, fixed_length=False),
        tried=TASK_GRID,
        shallowest=2,
        same_as="task-sequence",
    ),
    "random+stop": Opponent(
        "random", True, partial(fit_random, allow_stop=True), weighted=False, shallowest=2, same_as="random"
    ),
    "oracle_fixed": Opponent(
        "oracle", False, partial(fit_oracle, fixed_length=True), weighted=False, shallowest=2, same_as="oracle_stop"
    ),
    "oracle_stop": Opponent("oracle", True, partial(fit_oracle, fixed_length=False), weighted=False),
}

ALWAYS = tuple(OPPONENTS)  # docs/rules.md: those that stand in every evaluation; all are cheap enough

OPPONENTS |= {
    family: Opponent("supervised", True, partial(fit_predicted_best, family=family), tried=len(configurations))
    for family, configurations in FAMILIES.items()
}
OPPONENTS |= {
    "bandit": Opponent("supervised", True, fit_bandit, tried=len(BANDIT_GRID)),
    "cascade": Opponent(
        "cascade", True, fit_cascade, tried=CASCADE_GRID, shallowest=2, same_as="one call of one model"
    ),
    "self-refinement": Opponent(
        "cascade", True, fit_self_refinement, tried=CASCADE_GRID, shallowest=2, same_as="best-single"
    ),
    "cascade-routing": Opponent(
        "cascade", True, fit_cascade_routing, tried=len(ROUTERS), shallowest=2, same_as="linear or knn"
    ),
    "predict-then-plan": Opponent("supervised", False, partial(fit_plan, allow_stop=False), tried=len(PLANNERS)),
    "predict-then-plan+stop": Opponent(
        "supervised",
        True,
        partial(fit_plan, allow_stop=True),
        tried=len(PLANNERS),
        shallowest=2,
        same_as="predict-then-plan",
    ),
}


def opponents_of(table: OutcomeTable, names: tuple[str, ...] | None = None) -> dict[str, Opponent]:
    """The opponents of a table by name: each model once and L times, then those of the registry.

    Args:
      table: any split; its pool and horizon say which there are.
      names: names of the registry to take, however shallow the table; by default all but those that are `left_out`.
    """
    horizon, models = table.tree.horizon, {}
    for model, name in enumerate(table.model_names):
        models[name] = Opponent("single", True, partial(fit_one_model, model=model, hops=1), weighted=False)
        if names is not None or horizon > 1:
            models[f"{name} x{horizon}"] = Opponent(
                "single", False, partial(fit_one_model, model=model, hops=horizon), weighted=False
            )
    chosen = [name for name, row in OPPONENTS.items() if horizon >= row.shallowest] if names is None else names
    registered = {name: OPPONENTS[name] for name in chosen}
    singles = {name: row for name, row in registered.items() if row.kind == "single"}
    return singles | models | registered


def left_out(table: OutcomeTable) -> dict[str, str]:
    """Why some opponents of the registry are none on a table so shallow, by name."""
    horizon = table.tree.horizon
    return {
        name: f"needs at least {row.shallowest} hops, the table has {horizon}; it would be {row.same_as}"
        for name, row in OPPONENTS.items()
        if horizon < row.shallowest
    }
