"""YAML, files of rows and published outcomes, whatever they hold: one sentence, or a result that can be trusted."""

import gzip
import json
import os

import numpy as np
import pytest
import yaml
from hypothesis import strategies as st

from hierrouter_jax.bridge.pool.load import load_pool
from hierrouter_jax.bridge.tasks.config import load_mix, load_task
from hierrouter_jax.config import PACKAGE, from_dict, load_yaml
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers import read_format
from hierrouter_jax.outcomes.importers.costs import read_prices
from hierrouter_jax.outcomes.rows import read_queries, read_questions, read_rows
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.training.settings import TrainConfig
from tests.fuzz.engine import fuzz, mutations, no_hang, with_odd_bytes
from tests.outcomes import outcome_files as made

PRESETS = PACKAGE.parent / "configs"
READERS = {
    "pool/tiny.yaml": load_pool,
    "pool/paper.yaml": load_pool,
    "task/gsm8k.yaml": lambda path: load_task(str(path)),
    "mix/paper.yaml": lambda path: load_mix(str(path)),
    "prices/lookahead.yaml": read_prices,
    "train/fast.yaml": lambda path: from_dict(TrainConfig, load_yaml(path).get("train") or {}, path),
}


def refused(read, path):
    """What is read, or the sentence that refuses it."""
    try:
        return read(path)
    except InputError as error:
        message = str(error)
        assert "\n" not in message
        assert len(message) < 3000
        return message


@pytest.mark.fuzzed("settings")
@pytest.mark.parametrize("name", READERS)
def test_odd_settings(name, tmp_path):
    data, path = yaml.safe_load((PRESETS / name).read_text()), tmp_path / "x.yaml"

    def law(odd):
        path.write_bytes(yaml.safe_dump(odd).encode("utf-8", "surrogatepass"))
        refused(READERS[name], path)

    fuzz(law, mutations(data), examples=25)


@pytest.mark.fuzzed("settings")
def test_any_bytes_as_yaml(tmp_path):
    path = tmp_path / "x.yaml"

    def law(content):
        path.write_bytes(content)
        result = refused(load_yaml, path)
        assert isinstance(result, dict | str)

    text = st.text(alphabet="ab:-[]{}&*!|>'\"#%@\n\t ?,0.", max_size=40).map(str.encode)
    fuzz(law, st.one_of(st.binary(max_size=40), text), examples=100)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 5000,
        "a: " + "{x: " * 5000,
        "- " * 5000,
        "a: !!python/object/apply:os.system ['echo']",
        "a: &x [*x]",
        "a: " + "9" * 5000,
        "a: 1" + "0" * 400 + ".0",
        "a: 2025-99-99",
        "\ufeff a: 1",
        "a: \x00",
        "? [a, b]\n: 1",
        "? {a: b}\n: 1",
        "<<: [1]",
        "a: !!set {b, c}",
        "a: !!binary '!'",
        "a: !!timestamp 'x'",
        "a: !!int 'x'",
        "a: 1:2:3:" + "9:" * 400 + "9",
    ],
    ids=range(18),
)
def test_yaml_that_means_harm(text, tmp_path):
    (tmp_path / "x.yaml").write_text(text)
    with no_hang(10):
        for read in READERS.values():
            refused(read, tmp_path / "x.yaml")


def test_yaml_whose_anchors_would_grow_without_end(tmp_path):
    """Nine lists of nine of the one before: 9^9 values, in 200 bytes."""
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "x.yaml").write_text("\n".join([*lines, "models: *l11", "description: *l11"]))
    with no_hang(10):
        for read in READERS.values():
            refused(read, tmp_path / "x.yaml")


IMPORTS = {
    "long": lambda folder: made.write(folder / "o.csv", made.LONG),
    "llmrouter": made.llmrouter,
    "opencompass": made.opencompass,
    "routellm": made.routellm,
    "routerbench": lambda folder: made.write(folder / "r.csv", made.ROUTERBENCH),
    "llmrouterbench": made.llmrouterbench,
    "trajectories": lambda folder: made.write(folder / "t.json", made.TRAJECTORIES),
}


def imported(name, path, scratch):
    """Import, and hold what a table promises."""
    with no_hang():
        try:
            table = made.table_of(name, path)
        except InputError as error:
            message = str(error)
            assert "\n" not in message
            return
    assert (table.tokens_in >= 0).all()
    assert np.isfinite(table.cost).all()
    save_table(table, scratch)
    assert load_table(scratch).fingerprint == table.fingerprint


@pytest.mark.fuzzed("outcomes")
@pytest.mark.parametrize("name", IMPORTS)
def test_files_of_outcomes_with_odd_bytes(name, tmp_path):
    """Bytes are changed, taken out, doubled or put in, as JSON and CSV may arrive."""
    path = IMPORTS[name](tmp_path / "data")
    files = sorted(one for one in (tmp_path / "data").rglob("*") if one.is_file())

    def law(number, seed):
        file = files[number % len(files)]
        content = file.read_bytes()
        file.write_bytes(with_odd_bytes(content, seed))
        try:
            imported(name, path, tmp_path / "table")
        finally:
            file.write_bytes(content)

    fuzz(law, st.integers(0, 99), st.integers(0, 10**6), examples=25)


@pytest.mark.fuzzed("outcomes")
@pytest.mark.parametrize("name", [name for name in IMPORTS if name not in ("long", "routellm", "routerbench")])
def test_files_of_outcomes_with_odd_values(name, tmp_path):
    path = IMPORTS[name](tmp_path / "data")
    files = sorted(one for one in (tmp_path / "data").rglob("*.json") if one.is_file())
    whole = {file: json.loads(file.read_text()) for file in files}

    def law(number, data):
        file = files[number % len(files)]
        odd = data.draw(mutations(whole[file]))
        file.write_text(json.dumps(odd))
        try:
            imported(name, path, tmp_path / "table")
        finally:
            file.write_text(json.dumps(whole[file]))

    fuzz(law, st.integers(0, 99), st.data(), examples=25)


@pytest.mark.fuzzed("outcomes")
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet", ".csv.gz", ".parquet.gz"])
def test_any_bytes_as_rows(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"

    def law(content, packed):
        path.write_bytes(gzip.compress(content) if packed and suffix.endswith(".gz") else content)
        for read in (read_rows, read_queries, read_questions):
            refused(read, path)

    rows = st.lists(st.sampled_from([b'{"text": "a", "gold": "b", "split": "train"}', b"text,gold,split", b"a,b,test"]))
    lines = st.tuples(rows, st.binary(max_size=20)).map(lambda pair: b"\n".join([*pair[0], pair[1]]))
    fuzz(law, st.one_of(st.binary(max_size=80), lines), st.booleans(), examples=40)


def test_a_packed_file_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    """A thousandth of what it unpacks to: the size is bounded while it is unpacked, and not after."""
    monkeypatch.setattr("hierrouter_jax.outcomes.rows.MAX_UNPACKED", 1_000_000)
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * 20_000_000))
    assert path.stat().st_size < 30_000
    with pytest.raises(InputError, match="unpacks to more than 1,000,000 bytes"):
        read_rows(path)
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000))
    assert len(read_rows(path).rows) == 1000


def test_a_text_of_ten_megabytes_is_imported(tmp_path):
    long = "word " * 2_000_000
    rows = [{"query": long, "model": model, "score": 1, "tokens_in": 1, "tokens_out": 1, "cost": 1} for model in "ab"]
    path = made.write(tmp_path / "o.jsonl", rows)
    with no_hang():
        assert made.table_of("long", path).queries[0].text == long


def test_links_are_read_and_pipes_and_folders_refused(tmp_path):
    """The cache of a model hub is made of links, so that they are followed; what has no end must not be."""
    made.write(tmp_path / "o.csv", made.LONG)
    (tmp_path / "link.csv").symlink_to(tmp_path / "o.csv")
    assert len(read_format("long", tmp_path / "link.csv").frame) == 5
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name in ("loop.csv", "pipe.csv", "folder.csv", "/dev/zero"):
        with no_hang(5), pytest.raises(InputError):
            read_format("long", tmp_path / name)
