"""Logs of contextual bandits: Vowpal Wabbit's dsjson, and the CSV of the Open Bandit data. Each episode is one hop."""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.log_fields import (
    ROUNDING,
    Fault,
    distribution_of,
    faults_at,
    numbers_of,
    plain_number,
    quality_of,
    seconds_of,
    text_of,
)
from hierrouter_jax.outcomes.importers.logs import Step, read_steps
from hierrouter_jax.outcomes.importers.records import missing
from hierrouter_jax.outcomes.importers.scales import Scales, Stated
from hierrouter_jax.outcomes.rows import read_rows, read_text
from hierrouter_jax.outcomes.texts import json_value, lines_of

_NAMES = ("_tag", "id", "_id", "name")  # of an action, where its features hold one
_AFFINITY, _USER = "user-item_affinity_", "user_feature_"
_BUCKETS = 32  # that the hashed user features are counted in


def read_dsjson(path: Path, columns: Mapping[str, str] | None = None, score_range: Stated = None) -> Iterator[Step]:
    """The decisions of a file in Vowpal Wabbit's dsjson, an event a line, as its decision service logs them.

    `a` and `p` hold the actions by number and their probabilities; quality is minus `_label_cost`, and is not there
    where `o` is an empty list, as no reward came in time. An action's name is the `_tag`, `id`, `_id` or `name` among
    its features, or those features themselves; the query is the JSON of the shared features. Events with `_skipLearn`,
    whose action was not shown, are left out.

    Raises:
      InputError: naming file, line and field of the first fault, and what is right.
    """
    _refuse_columns("dsjson", columns)
    scales = Scales(score_range)
    for number, line in enumerate(lines_of(read_text(path))):
        if not line.strip():
            continue
        with faults_at(f"{path}: row {number}"):
            try:
                event = json_value(line)
            except ValueError as error:
                raise Fault(f"not valid JSON ({error})") from None
            step = _event(f"{path}: row {number}", event, scales)
        if step is not None:
            yield step
    scales.check()


def read_open_bandit(
    path: Path, columns: Mapping[str, str] | None = None, score_range: Stated = None
) -> Iterator[Step]:
    """The impressions of a CSV of the Open Bandit data (random/all/all.csv and the like), each an episode of one hop.

    The candidates are the items 0, 1, ..., one for each column `user-item_affinity_I`; quality is `click`. The file
    holds the probability of the item shown alone (`propensity_score`). Features are the position, the affinities, and
    counts of the hashed user features; the task is the position, as propensities are of an item at its position.

    Raises:
      InputError: naming file, row and field of the first fault, and what is right.
    """
    _refuse_columns("open-bandit", columns)
    grid, scales = read_rows(path), Scales(score_range)
    grid.need(path, "timestamp", "item_id", "position", "click", "propensity_score")
    affinities = [name for name in grid.columns if name.startswith(_AFFINITY)]
    users = [name for name in grid.columns if name.startswith(_USER)]
    items = {str(row.get("item_id")) for _, row in grid.rows}
    count = len(affinities) or len(items)
    candidates = (
        tuple(map(str, range(count))) if affinities else tuple(sorted(items, key=lambda item: (len(item), item)))
    )
    for number, row in grid.rows:
        where = f"{path}: row {number}"
        with faults_at(where):
            for name in grid.columns:
                if missing(row.get(name)):
                    raise Fault(f"{name} is missing")
            item, position = str(row["item_id"]), str(row["position"])
            if item not in candidates:
                raise Fault(f"item_id is {item}, but must be one of the {count} items from 0 to {count - 1}")
            propensity = plain_number(row["propensity_score"])
            if propensity is None or not 0 < propensity <= 1:
                raise Fault(
                    f"propensity_score is {row['propensity_score']}, but must be a number above 0 and at most 1"
                )
            step = Step(
                where=where,
                episode=f"{number:08d}",
                candidates=candidates,
                action=item,
                propensity=propensity,
                time=seconds_of(row["timestamp"], "timestamp"),
                quality=quality_of(row["click"], scales, "click"),
                features=(
                    *numbers_of([row[name] for name in ("position", *affinities)], "position or affinity"),
                    *_hashed([f"{name}={row[name]}" for name in users]),
                ),
                task=f"position {position}",
            )
        yield step
    scales.check()


LOG_FORMATS: dict[str, Callable[..., Iterator[Step]]] = {
    "log": read_steps,
    "dsjson": read_dsjson,
    "open-bandit": read_open_bandit,
}


def _refuse_columns(name: str, columns: Mapping[str, str] | None) -> None:
    if columns:
        raise InputError(f"--columns maps columns of the format log; {name} has names of its own")


def _event(where: str, event: Any, scales: Scales) -> Step | None:
    if not isinstance(event, dict):
        raise Fault("must be an object (name: value)")
    if event.get("_skipLearn"):
        return None
    if "_outcomes" in event:
        raise Fault("_outcomes is there: an event of several slots, but one decision an event is needed")
    for name in ("_label_cost", "_label_probability", "a", "p", "c"):
        if name not in event:
            raise Fault(f"{name} is missing; a decision has _label_cost, _label_probability, a, p and c")
    context = event["c"]
    actions = context.get("_multi") if isinstance(context, dict) else None
    if not isinstance(actions, list) or not actions:
        raise Fault("c must hold the features of each action as the list _multi")
    names = _action_names(actions)
    order = [int(number) for number in numbers_of(event["a"], "a")]
    if sorted(order) != list(range(1, len(names) + 1)):
        raise Fault(f"a is {order}, but must hold each number from 1 to {len(names)}, the length of _multi, once")
    ranked = distribution_of(event["p"], tuple(names[number - 1] for number in order), "p")
    if len(ranked) != len(names):
        raise Fault(f"p has {len(ranked)} values, but must have one for each of the {len(names)} actions")
    by_name = dict(zip((names[number - 1] for number in order), ranked, strict=True))
    action = names[order[0] - 1]
    stated = plain_number(event["_label_probability"])
    if stated is None or abs(stated - by_name[action]) > ROUNDING or not by_name[action] > 0:
        raise Fault(
            f"_label_probability is {event['_label_probability']}, but must be that of the first action of a, "
            f"which p gives {by_name[action]:g}"
        )
    cost = plain_number(event["_label_cost"])
    if cost is None:
        raise Fault(f"_label_cost is {event['_label_cost']!r:.40}, but must be a number: minus the reward")
    lost = event.get("o") == []
    shared = {name: value for name, value in context.items() if name != "_multi"}
    state = event.get("VWState") or {}
    if not isinstance(state, dict):
        raise Fault(f"VWState is {state!r:.40}, but must be an object (name: value)")
    return Step(
        where=where,
        episode=text_of(event.get("EventId", where.rpartition(" ")[2]), "EventId"),
        candidates=names,
        action=action,
        probs=tuple(by_name[name] for name in names),
        propensity=by_name[action],
        quality=None if lost else quality_of(-cost, scales, "reward"),
        time=seconds_of(event["Timestamp"], "Timestamp") if "Timestamp" in event else None,
        query=json.dumps(shared, sort_keys=True, ensure_ascii=False),
        policy=text_of(state.get("m", ""), "VWState"),
    )


def _action_names(actions: list[Any]) -> tuple[str, ...]:
    """What tells actions apart, over all events: a name among their features, or the features themselves."""
    names = []
    for action in actions:
        features = action if isinstance(action, dict) else {"": action}
        flat = features | {k: v for its in features.values() if isinstance(its, dict) for k, v in its.items()}
        its = next((flat[name] for name in _NAMES if name in flat), None)
        names.append(json.dumps(action, sort_keys=True, ensure_ascii=False) if its is None else str(its))
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Fault(f"c names the action {twice!r:.60} twice in _multi, but actions must differ")
    return tuple(names)


def _hashed(words: list[str]) -> list[float]:
    counts = [0.0] * (_BUCKETS if words else 0)
    for word in words:
        counts[zlib.crc32(word.encode()) % _BUCKETS] += 1.0
    return counts
