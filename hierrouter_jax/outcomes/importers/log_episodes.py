"""Decisions of a log of others put together: episodes with one pool, whose contexts are embedded."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log.record import ACTION_ALONE, EXPLORE_UNKNOWN
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.importers.log_fields import STOP
from hierrouter_jax.outcomes.importers.logs import Step
from hierrouter_jax.outcomes.importers.routes import QueryEncoder
from hierrouter_jax.outcomes.table import Context

_POLICY = "imported"  # where a log does not say who served


def episodes_from(steps: Iterable[Step], encoder: QueryEncoder) -> Episodes:
    """The episodes of decisions, in the order of their time; where no time is known, of their first row.

    The pool is all candidates of all decisions in the order in which they appear; a decision's own are its mask. Where
    a decision holds the probability of its action alone, the other actions share the rest evenly.

    Args:
      steps: decisions in any order.
      encoder: encoder of the contexts, where they are texts.

    Raises:
      InputError: naming the row and the field by which an episode's decisions do not fit each other.
    """
    by_episode: dict[str, list[Step]] = {}
    for step in steps:
        by_episode.setdefault(step.episode, []).append(step)
    if not by_episode:
        raise InputError("the log holds no decision")
    episodes = [_in_order(its) for its in by_episode.values()]
    every = [step for its in episodes for step in its]
    names = tuple(dict.fromkeys(name for step in every for name in step.candidates))
    if len({step.time is None for step in every}) > 1:
        raise InputError(f"{next(s.where for s in every if s.time is None)}: time is missing, but other rows have one")
    if every[0].time is not None:
        episodes.sort(key=lambda its: its[0].time or 0.0)
    times = [its[0].time if its[0].time is not None else float(row) for row, its in enumerate(episodes)]
    embedding, spec = _embedded(episodes, encoder)
    return Episodes(
        **_decisions(episodes, names),
        **_outcomes(episodes, times),
        encoder=spec,
        embedding=embedding,
        time=np.array(times),
    )


def _in_order(steps: list[Step]) -> list[Step]:
    """The decisions of an episode by stage, refused where they do not follow each other."""
    steps = sorted(steps, key=lambda step: step.stage)
    name = steps[0].episode
    for stage, step in enumerate(steps):
        if step.stage < stage:
            raise InputError(f"{step.where}: stage {step.stage} of episode {name!r} is there twice")
        if step.stage > stage:
            raise InputError(f"{step.where}: stage is {step.stage}, but episode {name!r} has no row of stage {stage}")
        before = steps[stage - 1]
        if stage and (before.action == STOP or before.end):
            raise InputError(f"{step.where}: stage is {stage}, but episode {name!r} ended at stage {stage - 1}")
        if stage and step.time is not None and before.time is not None and step.time < before.time:
            raise InputError(f"{step.where}: time is before that of stage {stage - 1} of episode {name!r}")
    for field in ("quality", "task", "policy", "table"):
        several = {getattr(step, field): step.where for step in steps if getattr(step, field) not in (None, "")}
        if len(several) > 1:
            raise InputError(f"{list(several.values())[1]}: {field} of episode {name!r} is another in an earlier row")
    return steps


def _decisions(episodes: Sequence[Sequence[Step]], names: tuple[str, ...]) -> dict[str, Any]:
    """What was drawn, among which actions, and what the hop gave."""
    index = {name: at for at, name in enumerate(names)} | {STOP: len(names)}
    stops = any(_may_stop(step) for its in episodes for step in its)
    shape = len(episodes), max(map(len, episodes))
    taken, action = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.int64)
    probs = np.zeros((*shape, len(names) + 1))
    mask = np.zeros(probs.shape, dtype=bool)
    propensity = np.ones(shape)
    numbers = {name: np.zeros(shape) for name in ("cost", "seconds")}
    numbers |= {name: np.zeros(shape, dtype=np.int64) for name in ("tokens_in", "tokens_out")}
    for row, its in enumerate(episodes):
        for step in its:
            at = row, step.stage
            places = [index[name] for name in step.candidates]
            if step.probs is None:
                places += [len(names)] if stops and step.stage else []
                rest = (1 - step.propensity) / max(1, len(places) - 1)
                probs[at][places] = rest
            else:
                # Where a log stops at all, STOP at 0 was possible, as a model at 0 was; elsewhere it is a name alone.
                places += [len(names)] if stops and step.stage and len(step.probs) > len(places) else []
                probs[at][places] = step.probs[: len(places)]
            taken[at], action[at], mask[at][places] = True, index[step.action], True
            probs[at][index[step.action]] = step.propensity
            propensity[at] = step.propensity
            if abs(probs[at].sum() - 1) > 1e-9:
                raise InputError(f"{step.where}: propensity is {step.propensity:g}, but no other action was possible")
            for name, array in numbers.items():
                array[at] = getattr(step, name)
    return {
        "candidates": names,
        "taken": taken,
        "mask": mask,
        "probs": probs,
        "action": action,
        "propensity": propensity,
        "spent": np.where(taken, np.cumsum(numbers["cost"], axis=1) - numbers["cost"], 0.0),
        "charges": np.full((*shape, len(names)), np.nan),
        **numbers,
    }


def _may_stop(step: Step) -> bool:
    """Whether a decision ended its episode, or could have: it gave STOP a probability above 0."""
    return step.action == STOP or any(prob > 0 for prob in (step.probs or ())[len(step.candidates) :])


def _outcomes(episodes: Sequence[Sequence[Step]], times: Sequence[float]) -> dict[str, Any]:
    """What came of each episode, and who served it."""

    def first(field: str, other: Any) -> list[Any]:
        return [next((v for step in its if (v := getattr(step, field)) not in (None, "")), other) for its in episodes]

    quality = np.array(first("quality", np.nan), dtype=np.float64)
    came = np.array(first("quality_time", np.nan), dtype=np.float64)
    request = np.array(times, dtype=np.float64)
    ends = [its[-1].end or ("stop" if its[-1].action == STOP else "horizon") for its in episodes]
    alone = [any(step.probs is None for step in its) for its in episodes]
    texts = {
        "episode_id": [its[0].episode for its in episodes],
        "policy": first("policy", _POLICY),
        "table": first("table", ""),
        "explore": [ACTION_ALONE if its else EXPLORE_UNKNOWN for its in alone],
        "end": ends,
        "task": first("task", ""),
        "settings": [next((s.settings for s in its if s.settings != "{}"), "{}") for its in episodes],
    }
    nothing = np.full(len(episodes), np.nan)
    return {name: np.array(values, dtype=object) for name, values in texts.items()} | {
        "max_hops": np.full(len(episodes), max(map(len, episodes))),
        "cost_weight": nothing,
        "budget": nothing,
        "quality": quality,
        "quality_time": np.where(np.isnan(quality), np.nan, np.where(np.isnan(came), request, came)),
    }


def _embedded(
    episodes: Sequence[Sequence[Step]], encoder: QueryEncoder
) -> tuple[Float[np.ndarray, "E L X"], dict[str, Any]]:
    """Embeddings of the contexts, and the description of what gave them: the encoder, or the log's own numbers."""
    every = [step for its in episodes for step in its]
    rows = np.repeat(np.arange(len(episodes)), list(map(len, episodes)))
    stages = np.array([step.stage for step in every])
    if every[0].features is not None:
        width, spec = len(every[0].features), {"kind": "features", "size": len(every[0].features)}
        other = next((step for step in every if len(step.features or ()) != width), None)
        if other is not None:
            raise InputError(
                f"{other.where}: features has {len(other.features or ())} numbers, but others have {width}"
            )
        vectors = np.array([step.features for step in every], dtype=np.float32)
    else:
        contexts = [context for its in episodes for context in _contexts(its)]
        index = {context: at for at, context in enumerate(dict.fromkeys(contexts))}
        vectors, spec = encoder.encode(list(index))[[index[context] for context in contexts]], encoder.spec
    embedding = np.zeros((len(episodes), max(map(len, episodes)), vectors.shape[1]), dtype=np.float32)
    embedding[rows, stages] = vectors
    return embedding, spec


def _contexts(steps: Sequence[Step]) -> list[Context]:
    """The query and the responses so far at each decision; a later row may hold a query of its own."""
    contexts, query = [], ""
    for stage, step in enumerate(steps):
        if step.features is not None:
            raise InputError(f"{step.where}: features are there, but other rows have none")
        query = step.query or query
        if not query.strip():
            raise InputError(f"{step.where}: query and features are missing, but one is needed: what a policy reads")
        responses = tuple(its.response for its in steps[:stage] if its.response)
        contexts.append(Context(query, responses, task=step.task))
    return contexts
