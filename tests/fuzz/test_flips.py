"""Whichever byte of a table, bundle, log, run or sweep changes: the folder is refused by name, or loads as before."""

import json
from dataclasses import fields

import numpy as np
import pytest

from hierrouter_jax import sums
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import LogOptions, LogWriter, read_log
from hierrouter_jax.outcomes.packing import pack_tables
from hierrouter_jax.outcomes.store import EMBEDDINGS, load_external, load_table, save_table
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.bundles import BUNDLES
from tests.fuzz.engine import SECONDS, flips, while_time
from tests.outcomes.decision_log.served import decision
from tests.tables import random_table

COUNT = 200 if SECONDS else 60


def values_of(table: OutcomeTable) -> list:
    """All that a table holds, to be compared."""
    arrays = [getattr(table, field.name) for field in fields(table)]
    shown = [one.tolist() if isinstance(one, np.ndarray) else repr(one) for one in arrays]
    return [*shown, {name: column.tolist() for name, column in table.details.items()}]


def rows_of(folder) -> tuple:
    log = read_log(folder)
    return log.rows.drop_columns("embedding").to_pylist(), log.matrix("embedding").tolist(), repr(log.counts)


def made(kind, folder):
    """A folder of a kind, and the function that reads it."""
    if kind == "table":
        save_table(random_table(), folder / "t")
        return lambda: values_of(load_table(folder / "t"))
    if kind == "packed":
        save_table(random_table(queries=3), folder / "one")
        save_table(random_table(queries=3, horizon=1), folder / "one" / "external")
        pack_tables([folder / "one"], folder / "t", ["ngrams"], "MIT")
        return lambda: [values_of(load_table(folder / "t")), values_of(load_external(folder / "t"))]
    if kind == "bundle":
        BUNDLES["conditioned"].save(folder / "t")
        return lambda: PolicyBundle.load(folder / "t").fingerprint
    with LogWriter(folder / "t", LogOptions(text=True)) as log:
        for number in range(5):
            log.append(decision(f"e{number}", response=f"answer {number}"))
            log.add_feedback(f"e{number}", number / 5)
    return lambda: rows_of(folder / "t")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("table", marks=pytest.mark.fuzzed("tables")),
        pytest.param("packed", marks=pytest.mark.fuzzed("tables")),
        pytest.param("bundle", marks=pytest.mark.fuzzed("bundles")),
        pytest.param("log", marks=pytest.mark.fuzzed("logs")),
    ],
)
def test_a_flipped_byte_is_refused_or_changes_nothing(kind, tmp_path):
    load = made(kind, tmp_path)
    seen = {"refused": 0, "unchanged": 0}

    def once(number):
        for name, times in flips(tmp_path / "t", load, np.random.default_rng(number), COUNT).items():
            seen[name] += times

    while_time(once)
    print(kind, seen)
    assert seen["refused"] > seen["unchanged"]


def test_without_sums_a_flip_is_accepted(tmp_path):
    """The fault that the sums are there for: an embedding differs, and nobody notices."""
    load, path = made("table", tmp_path), tmp_path / "t" / EMBEDDINGS
    before, content = load(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=EMBEDDINGS):
        load()
    sums.drop_sums(tmp_path / "t")
    assert load() != before


def test_records_that_were_not_yet_made_a_part_lose_the_flipped_one_alone(tmp_path):
    """A write-ahead file has a checksum for each record: the broken one is left out and counted."""
    writer = LogWriter(tmp_path)
    for number in range(20):
        writer.append(decision(f"e{number}"))
    (path,) = (tmp_path / "write-ahead").glob("*.wal")
    content, before = path.read_bytes(), rows_of(tmp_path)[0]
    copy = tmp_path / "copy"
    for room in ("decisions", "feedback", "write-ahead"):
        (copy / room).mkdir(parents=True)
    there = copy / "write-ahead" / path.name
    rng = np.random.default_rng(0)
    for _ in range(COUNT):
        at, change = int(rng.integers(len(content))), int(rng.integers(1, 256))
        there.write_bytes(content[:at] + bytes([content[at] ^ change]) + content[at + 1 :])
        try:
            rows, _, counts = rows_of(copy)
        except InputError as error:
            message = str(error)
            assert str(there) in message
            continue
        assert json.loads(counts.partition("broken=")[2].partition(",")[0]) == 1
        assert len(rows) < len(before)
        assert all(row in before for row in rows)
    writer.close()
