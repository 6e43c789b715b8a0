"""The members of a sweep: which there are, and the pure program that trains one, evaluates it exactly or is timed."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.layout import Layout, lay, replicated
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.tree_policy import mean_scores, run_policy
from hierrouter_jax.policies.conditions import Conditions

Scores = dict[str, Any]


class Splits(NamedTuple):
    """What a sweep trains on, chooses on and reports."""

    train: DeviceTable
    validation: DeviceTable
    test: DeviceTable


@dataclass(frozen=True)
class Plan:
    """All combinations of shapes, numbers and seeds, in that order, the seed varying fastest.

    Attributes:
      statics: one group of members each; a group is compiled once.
      hypers: stacked, every leaf [H].
      seeds: S of them.
    """

    statics: tuple[LearnerStatic, ...]
    hypers: LearnerHyper
    seeds: tuple[int, ...]

    @property
    def points(self) -> int:
        """H, sets of numbers."""
        leaf: Any = self.hypers.learning_rate
        return len(leaf)

    @property
    def per_group(self) -> int:
        return self.points * len(self.seeds)

    def __len__(self) -> int:
        return len(self.statics) * self.per_group

    def group(self, members: Any) -> Any:
        return np.asarray(members) // self.per_group

    def hyper(self, members: Any) -> LearnerHyper:
        """The members' numbers, stacked as the members are."""
        rows = np.asarray(members) % self.per_group // len(self.seeds)
        return jax.tree.map(lambda leaf: leaf[rows], self.hypers)

    def seed(self, members: Any) -> Any:
        return np.asarray(self.seeds, np.int32)[np.asarray(members) % len(self.seeds)]


@dataclass(frozen=True)
class Chunk:
    """Members of one group that are trained together; seeds and numbers are padded to the chunk's size [C]."""

    members: Int[np.ndarray, " n"]
    static: LearnerStatic
    seeds: Int[np.ndarray, " C"]
    hypers: LearnerHyper


class Trained(NamedTuple):
    """What is left of a chunk's members, all stacked [n, ...].

    Attributes:
      params: the best parameters.
      scores: numbers of each member, by name.
      curves: `validation_return`, `validation_accuracy` and `validation_cost` (over the normaliser) [n, B] after
        each of B blocks of updates, and `ends` [n, Q], the node at which the greedy policy answers each query of the
        evaluated split.
    """

    params: Any
    scores: Scores
    curves: Scores


def chunks(plan: Plan, members: Sequence[int], size: Callable[[int], int]) -> Iterator[Chunk]:
    """Those members group by group, in chunks of one size a group.

    Args:
      size: function of the number of members that a group has in the whole plan; gives its chunks' size.
    """
    remaining = np.asarray(members, int)
    for group, static in enumerate(plan.statics):
        here, step = remaining[plan.group(remaining) == group], size(plan.per_group)
        for start in range(0, len(here), step):
            some = here[start : start + step]
            padded = np.pad(some, (0, step - len(some)), mode="edge")
            yield Chunk(some, static, plan.seed(padded), plan.hyper(padded))


@lru_cache(maxsize=64)
def program(static: LearnerStatic, layout: Layout) -> Callable[..., Trained]:
    """The compiled `(seeds [C], hypers [C], splits) -> Trained` of a group, kept from one sweep to the next."""
    train = lay(partial(train_member, static=static), layout)

    @jax.jit
    def run(seeds: Int[Array, " C"], hypers: LearnerHyper, splits: Splits) -> Trained:
        return train(jax.vmap(jax.random.key)(seeds), hypers, splits)

    return run


def run_chunk(chunk: Chunk, splits: Splits, layout: Layout) -> Trained:
    """Train a chunk, on the host; the padding is cut off."""
    trained = program(chunk.static, layout)(chunk.seeds, chunk.hypers, splits)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(chunk.members)], jax.device_get(trained))


def train_member(key: PRNGKeyArray, hyper: LearnerHyper, splits: Splits, static: LearnerStatic) -> Trained:
    """A whole run, and the exact evaluation of its best policy on the test split."""
    state, metrics = learner.train(key, splits.train, splits.validation, static, hyper)
    block = state.best_update // static.evaluate_every - 1  # -1 where no return was ever a number
    accuracy, cost = (
        jnp.where(block < 0, jnp.nan, metrics[name][block]) for name in ("validation_accuracy", "validation_cost")
    )
    if static.prior:  # what training began with may have remained the best, and no block tells of it
        reached, _ = greedy_scores(state.best_params, splits.validation, static, hyper)
        accuracy, cost = reached["accuracy"], reached["cost"]
    scores = {
        "best_return": state.best_return,
        "best_accuracy": accuracy,
        "best_cost": cost,
        "best_update": state.best_update,
        "train_return": jnp.mean(metrics["train_return"][-1]),
    }
    curves = {name: metrics[name] for name in ("validation_return", "validation_accuracy", "validation_cost")}
    reached, ends = greedy_scores(state.best_params, splits.test, static, hyper)
    return Trained(state.best_params, scores | reached, curves | {"ends": ends})


def greedy_scores(
    params: Any, table: DeviceTable, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[dict[str, Float[Array, ""]], Int[Array, " Q"]]:
    """Accuracy, cost over the normaliser, and return of the greedy policy, exactly; and where it answers.

    The return is quality minus the reward's cost weight times the cost. A conditioned policy is told that weight, and
    a budget that is never reached.
    """
    weight = jnp.asarray(hyper.reward.hop_cost, jnp.float32)
    conditions = Conditions(
        cost_weight=jnp.full(table.num_queries, weight) if static.cost_conditioned else None,
        budget=jnp.full(table.num_queries, jnp.inf) if static.budgeted else None,
    )
    ends = run_policy(static, params, table, conditions, hyper.ranges).greedy_ends()
    accuracy, cost = mean_scores(ends, table)
    return {"accuracy": accuracy, "cost": cost, "return": accuracy - weight * cost}, jnp.argmax(ends, axis=1)


def updates_per_second(
    static: LearnerStatic,
    hyper: LearnerHyper,
    table: DeviceTable,
    layout: Layout,
    runs: int,
    updates: int = 4,
    wait: Callable[[], Any] = lambda: None,
) -> float:
    """Updates a second of `runs` members together, compilation apart: the median of five timings.

    Args:
      updates: timed at once, of each member.
      wait: called before each timing.
    """
    table = replicated(table) if layout.startswith("devices") else table
    keys = jax.random.split(jax.random.key(0), runs)
    hypers = jax.tree.map(lambda leaf: jnp.full(runs, leaf, jnp.float32), hyper)
    blank = jax.eval_shape(lambda key, table: learner.init(key, table, static, hyper), keys[0], table)

    def advance(key: jax.Array, hyper: LearnerHyper, table: DeviceTable) -> Any:
        # Any parameters take the same time; making proper ones would have to be compiled too.
        state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), blank.replace(key=None))

        def body(state: Any, _: None) -> tuple[Any, None]:
            return learner.update(state, table, static, hyper)[0], None

        return jax.lax.scan(body, state.replace(key=key), length=updates)[0].params

    run = jax.jit(lay(advance, layout))
    jax.block_until_ready(run(keys, hypers, table))
    seconds = []
    for _ in range(5):
        wait()
        started = time.perf_counter()
        jax.block_until_ready(run(keys, hypers, table))
        seconds.append(time.perf_counter() - started)
    return runs * updates / median(seconds)
