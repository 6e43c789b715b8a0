"""Logs of others: the long format, one row a decision, and what every format gives of a decision."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log.record import ENDS
from hierrouter_jax.outcomes.importers.log_fields import (
    ROUNDING,
    STOP,
    Fault,
    amount_of,
    candidates_of,
    distribution_of,
    faults_at,
    numbers_of,
    parsed,
    plain_number,
    quality_of,
    seconds_of,
    settings_of,
    text_of,
    whole_of,
)
from hierrouter_jax.outcomes.importers.records import missing
from hierrouter_jax.outcomes.importers.scales import Scales, Stated
from hierrouter_jax.outcomes.rows import check_mapped, column_names, read_rows

LOG_COLUMNS = (
    *("episode", "stage", "candidates", "propensities", "propensity", "action", "quality", "quality_time", "time"),
    *("cost", "tokens_in", "tokens_out", "seconds", "query", "response", "features", "task", "policy", "table"),
    *("settings", "end"),
)
_NEEDED = ("episode", "candidates", "action")
_OPTIONAL = (
    (seconds_of, ("time", "quality_time")),
    (amount_of, ("cost", "seconds")),
    (whole_of, ("tokens_in", "tokens_out")),
    (text_of, ("query", "response", "task", "policy", "table")),
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A decision of a log of others.

    Attributes:
      where: file and row, for messages.
      episode: id of the episode.
      action: name of the action taken: a candidate, or `STOP`.
      candidates: names of the K models that could be called.
      probs: distribution over the candidates and, where it was possible, `STOP` behind them; or None where nothing is
        known of the actions that were not taken.
      propensity: probability of the action taken.
      stage: number of decisions before it in its episode.
      quality: quality of the episode's answer; None where the row has none.
      quality_time, time: seconds since 1970 (UTC) of the feedback and of the decision; None where they are not known.
      query: text that was asked; empty where `features` say what was known.
      response: text that the hop gave.
      features: numbers that the policy read; None where there is a text.
      cost, tokens_in, tokens_out, seconds: money, tokens and time of the hop.
      task, policy, table, settings, end: text of the decision log's column of that name; empty where the row has none.
    """

    where: str
    episode: str
    action: str
    candidates: tuple[str, ...]
    propensity: float
    probs: tuple[float, ...] | None = None
    stage: int = 0
    quality: float | None = None
    quality_time: float | None = None
    time: float | None = None
    query: str = ""
    response: str = ""
    features: tuple[float, ...] | None = None
    cost: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    task: str = ""
    policy: str = ""
    table: str = ""
    settings: str = "{}"
    end: str = ""


def read_steps(path: Path, columns: Mapping[str, str] | None = None, score_range: Stated = None) -> Iterator[Step]:
    """The decisions of a file in the long format, in its order.

    Args:
      path: path of a .csv, .jsonl, .json or .parquet file with columns of `LOG_COLUMNS`; `episode`, `candidates`,
        `action` and one of `propensities` and `propensity` are needed.
      columns: names in the file by the names here, of columns that are called otherwise there.
      score_range: worst and best quality, where they are not 0 and 1.

    Raises:
      InputError: naming file, row and field of the first fault, and what is right.
    """
    names = column_names(LOG_COLUMNS, columns)
    grid, scales = read_rows(path), Scales(score_range)
    if names["quality"] not in grid.columns and "feedback" in grid.columns:
        names["quality"] = "feedback"
    grid.need(path, *(names[name] for name in _NEEDED))
    check_mapped(path, columns, grid.columns)
    if not {names["propensities"], names["propensity"]} & set(grid.columns):
        raise InputError(
            f"{path}: neither column 'propensities' nor column 'propensity' is there, but one is needed: without the "
            "probabilities that actions were drawn with, no other policy can be estimated"
        )
    for number, row in grid.rows:
        where = f"{path}: row {number}"
        values = {name: row[column] for name, column in names.items() if not missing(row.get(column))}
        with faults_at(where):
            step = _step(where, values, scales, names["quality"])
        yield step
    scales.check()


def _step(where: str, values: Mapping[str, Any], scales: Scales, quality: str) -> Step:
    for name in _NEEDED:
        if name not in values:
            raise Fault(f"{name} is missing")
    candidates, action = candidates_of(values["candidates"]), text_of(values["action"], "action")
    if action not in (*candidates, STOP):
        raise Fault(f"action is {action!r}, but must be one of the candidates {', '.join(candidates)}, or {STOP}")
    stage = whole_of(values.get("stage", 0), "stage")
    if action == STOP and stage == 0:
        raise Fault(f"action is {STOP} at stage 0, but there is no answer yet")
    probs, propensity = _propensity(values, candidates, action)
    if stage == 0 and probs is not None and len(probs) > len(candidates) and probs[-1] > 0:
        raise Fault(f"propensities give {STOP} {probs[-1]:g} at stage 0, but there is no answer yet")
    end = text_of(values.get("end", ""), "end")
    if end not in ENDS:
        raise Fault(f"end is {end!r}, but must be one of {', '.join(ENDS[1:])}, or empty")
    optional: dict[str, Any] = {}
    for read, names in _OPTIONAL:
        optional |= {name: read(values[name], name) for name in names if name in values}
    return Step(
        where=where,
        episode=text_of(values["episode"], "episode"),
        stage=stage,
        candidates=candidates,
        action=action,
        probs=probs,
        propensity=propensity,
        quality=quality_of(values.get("quality"), scales, quality),
        end=end,
        settings=settings_of(values.get("settings")),
        features=tuple(numbers_of(parsed(values["features"]), "features")) if "features" in values else None,
        **optional,
    )


def _propensity(
    values: Mapping[str, Any], candidates: tuple[str, ...], action: str
) -> tuple[tuple[float, ...] | None, float]:
    """The distribution, where there is one, and the probability of the action."""
    probs, stated = None, values.get("propensity")
    if "propensities" in values:
        probs = distribution_of(values["propensities"], candidates, "propensities")
        place = len(candidates) if action == STOP else candidates.index(action)
        own = probs[place] if place < len(probs) else 0.0
        if not own > 0:
            raise Fault(f"propensities give the action {action!r} probability 0, but it was taken")
        if stated is None:
            return probs, own
    if stated is None:
        raise Fault("propensities and propensity are missing, but one is needed")
    number = plain_number(stated)
    if number is None or not 0 < number <= 1:
        raise Fault(f"propensity is {stated!s:.40}, but must be a number above 0 and at most 1")
    if probs is not None and abs(number - own) > ROUNDING:
        raise Fault(f"propensity is {number:g}, but propensities give the action {action!r} {own:g}")
    return probs, number if probs is None else own
