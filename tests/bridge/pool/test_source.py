"""What is read of a GGUF file: its tokenizer, converted once; its size, by the config that the pool names."""

import json
import multiprocessing
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoConfig, AutoTokenizer

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.backends.weights import fingerprint, pinned
from hierrouter_jax.bridge.pool import (
    Endpoint,
    ModelConfig,
    ModelSize,
    PoolConfig,
    count_parameters,
    described,
    resolve_commit,
    resolve_source,
    source,
)
from hierrouter_jax.bridge.pool.source import is_gguf
from hierrouter_jax.errors import InputError
from tests.bridge.tiny_gguf import TOKENS, num_parameters, write_gguf

TEXTS = ["ab ab<|end|>", "", "  ab\n\té漢", "ba" * 9, "x", "ab" * 40, "<|end|>", "0123456789", "\x00", "ab ab ab"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A user's cache of this test's own; and no memory of what an earlier process of it converted."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    return tmp_path / "cache/hierrouter_jax/gguf"


def forget() -> None:
    """As a new process begins."""
    source._converted.cache_clear()


def member(source: Path | str, name: str = "a", **changes) -> ModelConfig:
    endpoint = Endpoint("http://localhost:1/v1", "m")
    return ModelConfig(name, str(source), 9, kind="openai", endpoint=endpoint, **{"base_rate": 1.0, **changes})


def test_the_kept_tokenizer_counts_as_the_file_s_own_and_is_converted_once(tmp_path, cache, monkeypatch):
    path = write_gguf(tmp_path / "model.gguf")
    own = AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name)
    kept = AutoTokenizer.from_pretrained(described(str(path)))
    assert [kept(text)["input_ids"] for text in TEXTS] == [own(text)["input_ids"] for text in TEXTS]
    turns = [{"role": "user", "content": "ab"}]
    assert kept.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) == "[user]ab[A]"
    assert kept.special_tokens_map == own.special_tokens_map
    forget()
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", None)  # not to be called any more
    assert described(str(path)) == str(next(cache.iterdir()))


def test_equal_files_share_a_folder_wherever_they_lie_and_others_do_not(tmp_path, cache):
    first, other = write_gguf(tmp_path / "model.gguf"), write_gguf(tmp_path / "other.gguf", tied=True)
    moved = Path(shutil.copy(first, tmp_path / "moved.gguf"))
    assert described(str(first)) == described(str(moved)) != described(str(other))
    assert len(list(cache.iterdir())) == 2
    write_gguf(first, tied=True)  # another model of the same name
    assert described(str(first)) == described(str(other))


def test_what_is_no_gguf_is_where_it_is(tmp_path):
    assert described("org/model") == "org/model"
    assert described(str(tmp_path)) == str(tmp_path)
    with pytest.raises(InputError, match="no such GGUF file"):
        described(str(tmp_path / "none.gguf"))


def test_a_damaged_folder_is_made_anew(tmp_path):
    path = write_gguf(tmp_path / "model.gguf")
    folder = Path(described(str(path)))
    (folder / "config.json").unlink()
    forget()
    assert Path(described(str(path))) == folder
    assert AutoConfig.from_pretrained(folder).vocab_size == 259


def _convert(path: str, ready, results) -> None:
    forget()
    ready.wait()
    results.put(AutoTokenizer.from_pretrained(described(path))("ab ab")["input_ids"])


@pytest.mark.filterwarnings("ignore:os.fork", "ignore:This process")
def test_processes_that_convert_one_file_at_the_same_time_all_read_it(tmp_path, cache):
    path, context = str(write_gguf(tmp_path / "model.gguf")), multiprocessing.get_context("fork")
    ready, results = context.Event(), context.Queue()
    processes = [context.Process(target=_convert, args=(path, ready, results)) for _ in range(4)]
    for process in processes:
        process.start()
    ready.set()
    assert [results.get(timeout=60) for _ in processes] == [[256, 257]] * 4
    for process in processes:
        process.join()
    assert len(list(cache.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    path = write_gguf(tmp_path / "model.gguf")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"/file/hierrouter_jax/gguf: the tokenizer of .*; let XDG_CACHE_HOME name"):
        described(str(path))


def test_an_endpoint_counts_tokens_by_a_gguf_file(tmp_path):
    path = write_gguf(tmp_path / "model.gguf")
    text, chat = load_backends(PoolConfig((member(path), member(path, "b", chat=True))))
    assert text.count_tokens(["ab ab", "x"]) == [2, 1]
    assert chat.count_tokens(["ab"]) == [len("[user]") + 1 + len("[A]")]
    assert text.positions == 64


@pytest.mark.parametrize(
    ("size_from", "parameters", "basis"),
    [
        (None, num_parameters(tied=False), "{path}"),
        ({"tie_word_embeddings": True}, num_parameters(tied=True), "{path} with tie_word_embeddings: True"),
        ("{folder}", num_parameters(tied=True), "{folder}"),
        ("{folder}/config.json", num_parameters(tied=True), "{folder}/config.json"),
        ("{other}", num_parameters(tied=True), "{other}"),
    ],
)
@pytest.mark.parametrize("kind", ["openai", "transformers"])
def test_the_size_is_that_of_the_config_which_the_pool_names(tmp_path, kind, size_from, parameters, basis):
    path, other = write_gguf(tmp_path / "apart.gguf"), write_gguf(tmp_path / "tied.gguf", tied=True)
    names = {"path": path, "folder": described(str(other)), "other": other}
    if isinstance(size_from, str):
        size_from = size_from.format(**names)
    config = member(path, base_rate=None, size_from=size_from)
    if kind == "transformers":
        config = ModelConfig("a", str(path), 9, size_from=size_from)
    (backend,) = load_backends(PoolConfig((config,), rate_from_parameters=True))
    assert backend.parameters == parameters
    assert backend.price.price_in == parameters / 1e6
    assert config.size_basis == basis.format(**names)


def test_the_identity_of_a_member_does_not_hang_on_its_size(tmp_path):
    path = write_gguf(tmp_path / "model.gguf")
    members = (member(path), member(path, "b", size_from={"tie_word_embeddings": True}))
    one, other = load_backends(PoolConfig(members))
    assert one.identity == other.identity
    assert one.parameters != other.parameters


@pytest.mark.parametrize(
    ("source", "size_from", "words"),
    [
        ("model", {"tie_embeddings": True}, "size_from.tie_embeddings is not in the config .* tie_word_embeddings?"),
        ("", {"tie_word_embeddings": True}, "size_from changes its source's config, but it has no source"),
        ("model", {}, "size_from is empty"),
        ("model", "", "size_from is empty"),
        ("model", "/none/here", "size_from: /none/here: no such folder"),
        ("model", "none.json", "size_from: none.json: no such file"),
    ],
)
def test_a_size_that_follows_from_nothing_is_refused(tmp_path, source, size_from, words):
    path = write_gguf(tmp_path / "model.gguf") if source else ""
    with pytest.raises(InputError, match=f"^model 'a': .*{words}"):
        load_backends(PoolConfig((member(path, size_from=size_from),)))


def test_a_size_needs_no_source(tmp_path):
    config = AutoConfig.from_pretrained(described(str(write_gguf(tmp_path / "model.gguf"))))
    (tmp_path / "official.json").write_text(json.dumps(config.to_dict()))
    (backend,) = load_backends(PoolConfig((member("", size_from=str(tmp_path / "official.json")),)))
    assert backend.parameters == count_parameters(config).parameters == num_parameters(tied=False)


def test_sources(tmp_path):
    assert resolve_source(str(tmp_path)) == str(tmp_path)
    assert resolve_source("org/model") == "org/model"
    with pytest.raises(InputError, match="no such folder"):
        resolve_source(str(tmp_path / "none"))
    with pytest.raises(InputError, match="package:nobody: no such specialist"):
        resolve_source("package:nobody")
    for empty in ("", " "):
        with pytest.raises(InputError, match="source is empty, but must be a hub id, a folder or a GGUF file"):
            resolve_source(empty)


def test_a_hub_id_is_pinned_to_its_commit_and_a_folder_to_none(monkeypatch, tmp_path):
    asked = []

    def resolve(source, revision, cache_dir):
        asked.append((source, revision))
        return SimpleNamespace(resolved="c0ffee")

    monkeypatch.setattr("huggingface_hub.resolve_revision", resolve)
    member = {"source": "org/model", "revision": "main", "max_new_tokens": 9, "base_rate": 1.0}
    config = pinned(ModelConfig("a", **member))
    assert (config.revision, fingerprint(config), asked) == ("c0ffee", "org/model@c0ffee", [("org/model", "main")])
    folder = ModelConfig("a", str(tmp_path), 9, base_rate=1.0)
    assert pinned(folder) is folder
    assert resolve_commit("package:reader") is None
    monkeypatch.undo()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"^model 'a': org/model cannot be loaded .*the hub is out of reach"):
        pinned(ModelConfig("a", **member))


@pytest.mark.parametrize("tied", [False, True])
def test_a_size_by_hand(tmp_path, tied):
    """A token passes every weight but the rows that embed it, and then the matrix of the logits, 259 x 8."""
    config = AutoConfig.from_pretrained(described(str(write_gguf(tmp_path / "model.gguf", tied=tied))))
    embeddings, parameters = len(TOKENS) * 8, num_parameters(tied)
    inner = parameters - (1 if tied else 2) * embeddings
    assert count_parameters(config) == ModelSize(parameters, 1, 8, 2 * (inner + embeddings))


def test_a_gguf_file_is_one_by_its_name():
    assert is_gguf("folder/model.gguf")
    assert not is_gguf("folder/model")
