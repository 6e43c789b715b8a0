"""The verb `import`: from files to a table and its report; and bad input: one line, exit code 2."""

import json

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import load_table
from tests.outcomes import outcome_files as made
from tests.outcomes.outcome_files import write


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "o.csv", made.LONG)
    write(tmp_path / "prices.yaml", made.PRICES)
    return tmp_path


LONG = ("import", "long", "o.csv", "--prices", "prices.yaml", "--tokenizer", "words", "--out", "t")


def test_it_writes_a_table_and_says_what_it_saw(files, capsys):
    assert main([*LONG, "--encoder", "{kind: ngrams, size: 8}"]) == 0
    printed = capsys.readouterr().out
    assert "t: 3 queries x 2 models from long o.csv" in printed
    assert "missing: 2 outcomes of 2 queries, masked" in printed
    assert "o.csv row 3: score is 'maybe'" in printed
    assert "counted by words, at the stated prices" in printed
    table = load_table(files / "t")
    assert table.encoder == {"kind": "ngrams", "size": 8, "fold_numbers": True, "seed": 0}
    rejected = [json.loads(line) for line in (files / "t" / "rejected.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rejected] == ["3", "6"]
    told = read_json(files / "t" / "table.json")["settings"]["import"]
    assert set(told["files"]) == {"o.csv"}
    assert len(told["files"]["o.csv"]["sha256"]) == 64
    assert main(["inspect", "t"]) == 0
    shown = capsys.readouterr().out
    assert "imported from long o.csv" in shown
    assert printed.partition("\n")[2] in shown, "inspect tells all that import told"


def test_a_leak_is_told_and_told_to_machines(files, capsys):
    made.llmrouter(files / "data")
    assert main(["import", "llmrouter", "data", "--tokenizer", "words", "--shares", "{train: 1}", "--out", "t"]) == 0
    printed = capsys.readouterr().out
    assert "leak: 1 of 1 test queries of sums stand in an earlier split" in printed
    assert "dropped from train for it: sums 1" in printed
    assert "dev-only" in printed
    command = ["import", "llmrouter", "data", "--tokenizer", "words", "--leaks", "keep", "--out", "t", "--json"]
    assert main([*command, "--shares", "{train: 1}"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["import"]["duplicates"]["dropped"] == {}
    assert told["import"]["counts"]["queries"] == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "lnog", "o.csv"], "did you mean long?"),
        (["import", "long", "none.csv"], "none.csv: no such file"),
        (["import", "long", "o.csv", "--prices", "none.yaml"], "none.yaml: no such file, and no such preset"),
        (["import", "long", "o.csv", "--tokenizer", "words"], "model 'large' has no price"),
        (["import", "long", "o.csv", "--leaks", "drop"], "leaks"),
        ([*LONG, "--encoder", "{kind: ngrams, size: 3}"], "must be a positive multiple of 4"),
        ([*LONG, "--shares", "{trian: 1}", "--resplit"], "must be weights of train, validation, test"),
        (["import", "routellm", "o.csv", "--columns", "{score: x}"], "--columns maps columns of the long format"),
    ],
)
def test_bad_input_is_one_line(files, capsys, arguments, said):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
