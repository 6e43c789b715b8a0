"""Which models stay loaded where as many as fit are to."""

import hashlib
import re
from dataclasses import replace

import pytest
from transformers import LlamaConfig

from hierrouter_jax.bridge.backends import weights
from hierrouter_jax.bridge.backends.load import load_backend
from hierrouter_jax.bridge.backends.weights import Weights
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.pool.source import reach

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


@pytest.mark.parametrize("size_from", [None, {"tie_word_embeddings": True}])
@pytest.mark.parametrize(("missing", "loaded"), [(0, 2), (1, 1)])
def test_members_say_how_large_they_are(model_folder, missing, loaded, size_from):
    """Real models: beside the first there is room for the second's bytes, or for one less, however it is to count."""
    members = [ModelConfig(str(seed), str(model_folder(seed=seed)), 8, base_rate=1.0) for seed in (0, 1)]
    alone = load_backend(members[0], PoolConfig(tuple(members)))
    members = [replace(member, size_from=size_from) for member in members]
    pool = PoolConfig(tuple(members), resident="fit")
    kept = Weights("fit", lambda: (4 * alone.parameters - missing, 0))
    first, second = (load_backend(member, pool, kept) for member in members)
    assert not kept._loaded
    assert first.generate(["ab"])[0].text == alone.generate(["ab"])[0].text
    second.generate(["ab"])
    assert len(kept._loaded) == loaded


def test_memory_is_told_in_bytes():
    free, whole = weights.device_memory()
    assert 0 < free < whole


def test_a_fingerprint_is_of_what_a_folder_holds_wherever_it_lies(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "notes.md").write_text(name)
    one, two = (ModelConfig("m", str(tmp_path / name), 8, base_rate=1.0) for name in ("one", "two"))
    inner = hashlib.sha256(b"{}").hexdigest()
    assert weights.fingerprint(one) == weights.fingerprint(two) == _digest(f"config.json:{inner};")
    (tmp_path / "two" / "config.json").write_text("{ }")
    assert weights.fingerprint(one) != weights.fingerprint(two)
    hub = ModelConfig("m", "org/model", 8, base_rate=1.0, revision="c0ffee")
    assert weights.fingerprint(hub) == "org/model@c0ffee"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_reach_is_the_least_of_what_member_and_config_say():
    member = ModelConfig("m", "org/model", 8, base_rate=1.0)
    config = LlamaConfig(max_position_embeddings=64)
    assert reach(member, config) == 64
    assert reach(replace(member, positions=32), config) == 32
    assert reach(replace(member, positions=32), None) == 32
    assert reach(member, None) is None


def test_a_source_is_described_to_transformers(tmp_path):
    folder = ModelConfig("m", str(tmp_path), 8, base_rate=1.0, trust_remote_code=True)
    assert weights.description(folder) == weights._where(folder) == {"path": str(tmp_path), "trust": True}
    hub = ModelConfig("m", "org/model", 8, base_rate=1.0, revision="c0ffee")
    assert weights._where(hub) == {"path": "org/model", "trust": False, "revision": "c0ffee"}
    (tmp_path / "model.gguf").write_bytes(b"")
    gguf = weights._where(replace(hub, source=str(tmp_path / "model.gguf"), revision=None))
    assert gguf == {"path": tmp_path, "gguf_file": "model.gguf"}


def test_tokenizer_and_config_of_a_source(model_folder):
    tokenizer, config = weights.load_tokenizer(ModelConfig("m", str(model_folder()), 8, base_rate=1.0))
    assert (tokenizer.padding_side, config.max_position_embeddings) == ("left", 128)
    assert tokenizer("ab")["input_ids"] == tokenizer.convert_tokens_to_ids(["a", "b"])
