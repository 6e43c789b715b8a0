"""Logs of others in all three formats, whatever they hold: one sentence, or episodes that an estimate can rest on."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from hierrouter_jax.cli.import_ import ImportConfig, import_log
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import read_log
from hierrouter_jax.outcomes.episodes import Episodes, episodes_of
from tests.fuzz.engine import fuzz, mutations, no_hang, with_odd_bytes

CHOICE = {"candidates": ["small", "large"], "propensities": {"small": 0.25, "large": 0.5, "STOP": 0.25}}
ROWS = [
    {**CHOICE, "episode": "a", "propensities": [0.25, 0.75], "action": "large", "query": "2 + 2?", "response": "5"},
    {**CHOICE, "episode": "a", "stage": 1, "action": "small", "response": "4", "cost": 0.5, "tokens_out": 2},
    {**CHOICE, "episode": "a", "stage": 2, "action": "STOP", "quality": 1, "end": "stop"},
    {"episode": "b", "candidates": "small|large", "propensity": 0.5, "action": "small", "query": "x", "quality": 0.5},
]
ROWS = [row | {"time": f"2026-03-01T12:00:0{at}Z", "settings": {"top_p": 0.5}} for at, row in enumerate(ROWS)]
EVENT = {
    "_label_cost": -1,
    "_label_probability": 0.8,
    "o": [{"v": 1.0, "EventId": "e"}],
    "Timestamp": "2021-02-04T16:31:29.2460000Z",
    "EventId": "e",
    "a": [2, 1],
    "c": {"User": [{"name": "Cathy"}], "_multi": [{"_tag": "mocha"}, {"i": {"id": "latte"}}]},
    "p": [0.8, 0.2],
    "VWState": {"m": "model-7"},
}
EVENTS = [EVENT, EVENT | {"EventId": "f", "o": [], "_label_cost": 0}]
CSV = """timestamp,item_id,position,click,propensity_score,user_feature_0,user-item_affinity_0,user-item_affinity_1
2019-11-24 00:00:17.004101+00:00,1,3,0,0.25,81ce123,0.0,0.5
2019-11-24 00:00:18.198826+00:00,0,1,1,0.5,81ce124,1.0,0.0
"""
FILES = {
    "log": ("log.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
    "dsjson": ("log.dsjson", "".join(json.dumps(event) + "\n" for event in EVENTS)),
    "open-bandit": ("all.csv", CSV),
}


def imported(kind: str, path: Path, out: Path) -> Episodes | str:
    """Import, and hold what a log promises; the sentence where it is refused."""
    with no_hang():
        try:
            episodes = import_log(ImportConfig(kind, path, out, encoder={"kind": "ngrams", "size": 8}))
        except InputError as error:
            message = str(error)
            assert "\n" not in message
            assert len(message) < 3000
            return message
        kept = episodes_of(read_log(out))
    taken = episodes.taken
    assert (np.isnan(episodes.quality) | ((episodes.quality >= 0) & (episodes.quality <= 1))).all()
    assert ((episodes.propensity > 0) & (episodes.propensity <= 1)).all()
    np.testing.assert_allclose(episodes.probs.sum(axis=-1), taken, atol=1e-6)
    assert (episodes.probs[~episodes.mask] == 0).all()
    assert (np.isfinite(episodes.cost) & (episodes.cost >= 0)).all()
    assert np.isfinite(episodes.embedding).all()
    for one in fields(Episodes):
        value = getattr(episodes, one.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(kept, one.name), value, err_msg=one.name)
    return episodes


@pytest.mark.fuzzed("logs")
@pytest.mark.parametrize("kind", FILES)
def test_logs_with_odd_bytes(kind, tmp_path):
    name, text = FILES[kind]
    path, content = tmp_path / name, text.encode()
    path.write_bytes(content)
    assert not isinstance(imported(kind, path, tmp_path / "out"), str)

    def law(seed):
        path.write_bytes(with_odd_bytes(content, seed))
        imported(kind, path, tmp_path / "out")

    fuzz(law, st.integers(0, 10**9), examples=40)


@pytest.mark.fuzzed("logs")
@pytest.mark.parametrize("kind", ["log", "dsjson"])
def test_logs_with_odd_values(kind, tmp_path):
    path = tmp_path / FILES[kind][0]

    def law(odd):
        path.write_text("".join(json.dumps(row) + "\n" for row in odd))
        imported(kind, path, tmp_path / "out")

    fuzz(law, mutations({"log": ROWS, "dsjson": EVENTS}[kind]), examples=60)
