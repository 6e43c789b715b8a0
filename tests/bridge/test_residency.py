"""Which models stay loaded where as many as fit are to."""

import re
from dataclasses import replace

import pytest

from hierrouter_jax.bridge.backends import weights
from hierrouter_jax.bridge.backends.load import load_backend
from hierrouter_jax.bridge.backends.weights import Weights
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig

WHOLE = 1600


@pytest.fixture
def loads(monkeypatch):
    """Sources in the order of their loading; nothing is read."""
    loads = []

    def load(config, tokenizer):
        loads.append(config.source)
        return object()

    monkeypatch.setattr(weights, "_load", load)
    return loads


@pytest.fixture
def fitting():
    """Models of 100 parameters, and memory for so many of them beside a quarter for batches and some bytes more."""

    def make(models: int, spare: int = 0, dtype: str = "float32") -> Weights:
        size = 100 * {"float32": 4, "bfloat16": 2}[dtype]
        kept = Weights("fit", lambda: (models * size + WHOLE // 4 + spare - size * len(kept._loaded), WHOLE))
        return kept

    return make


def ask(kept: Weights, names: str, **fields) -> str:
    """Ask models in turn; which are loaded in the end."""
    for name in names:
        kept.get(ModelConfig(name, f"org/{name}", 8, base_rate=1.0, **fields), None, 100)
    return "".join(re.findall(r"org/(.)", " ".join(kept._loaded)))


def test_what_fits_stays_and_is_loaded_once(loads, fitting):
    assert ask(fitting(3), "abcabcabc") == "abc"
    assert loads == ["org/a", "org/b", "org/c"]
    assert ask(fitting(3, spare=-1), "abc") == "ac"


def test_in_turns_the_model_whose_turn_is_last_goes(loads, fitting):
    """Three models in turns, of which two fit: every other call finds its model, where the oldest first finds none."""
    assert ask(fitting(2), "abcabcabc") == "ac"
    assert "".join(source[-1] for source in loads) == "abcbac"


def test_bytes_are_those_of_the_dtype(fitting, loads):
    assert ask(fitting(2, dtype="bfloat16"), "ab", dtype="bfloat16") == "ab"
    assert ask(fitting(2, dtype="bfloat16"), "ab") == "b"


def test_a_model_on_a_map_of_devices_is_alone_when_it_is_loaded(loads, fitting):
    kept = fitting(9)
    assert ask(kept, "ab") == "ab"
    assert ask(kept, "c", device_map="auto") == "c"


@pytest.mark.parametrize(("missing", "loaded"), [(0, 2), (1, 1)])
def test_members_say_how_large_they_are(model_folder, missing, loaded):
    """Real models: beside the first there is room for the second's bytes, or for one less."""
    members = [ModelConfig(str(seed), str(model_folder(seed=seed)), 8, base_rate=1.0) for seed in (0, 1)]
    pool = PoolConfig(tuple(members), resident="fit")
    alone = load_backend(members[0], replace(pool, resident=True))
    kept = Weights("fit", lambda: (4 * alone.parameters - missing, 0))
    first, second = (load_backend(member, pool, kept) for member in members)
    assert not kept._loaded
    assert first.generate(["ab"])[0].text == alone.generate(["ab"])[0].text
    second.generate(["ab"])
    assert len(kept._loaded) == loaded


def test_memory_is_told_in_bytes():
    free, whole = weights.device_memory()
    assert 0 < free < whole
