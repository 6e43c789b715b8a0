"""The verb `import`: from files to a table and its report; and bad input: one line, exit code 2."""

import json

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.decision_log import read_log
from hierrouter_jax.outcomes.episodes import episodes_of
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
        (
            ["import", "routellm", "o.csv", "--columns", "{score: x}"],
            "--columns maps columns of the long format and of",
        ),
    ],
)
def test_bad_input_is_one_line(files, capsys, arguments, said):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


LOG = """episode,stage,candidates,propensities,action,query,response,cost,quality
a,0,small|large,"[0.5, 0.5]",small,What is 2 + 2?,Four is it,1,
a,1,small|large,"[0.25, 0.5, 0.25]",STOP,,,,1
b,0,small|large,"[0.5, 0.5]",large,What is 3 + 5?,8,4,1
b,1,small|large,"[0.25, 0.5, 0.25]",small,,eight,2,1
"""


def test_a_log_of_decisions_becomes_a_decision_log(files, capsys):
    write(files / "log.csv", LOG)
    assert main(["import", "log", "log.csv", "--out", "l", "--encoder", "{kind: ngrams, size: 8}"]) == 0
    assert "l: 2 episodes, 4 decisions among 2 models from log log.csv" in capsys.readouterr().out
    episodes = episodes_of(read_log(files / "l"))
    assert episodes.candidates == ("small", "large")
    assert episodes.action.tolist() == [[0, 2], [1, 0]]
    assert episodes.spent.tolist() == [[0, 1], [0, 4]]
    assert episodes.embedding.shape == (2, 2, 8)
    assert main(["import", "log", "log.csv", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["log"] == "logs/imported"
    assert summary["warnings"] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"[0.5, 0.5]",small', '"[0.5, 0.25]",small', "log.csv: row 0: propensities sum to 0.75, but must to 1"),
        ("b,1,", "b,2,", "log.csv: row 3: stage is 2, but episode 'b' has no row of stage 1"),
        (",1\n", ",\n", "none of the log's 2 episodes has feedback"),
        ("propensities", "chances", "neither column 'propensities' nor column 'propensity' is there"),
    ],
)
def test_a_bad_log_is_one_line_and_nothing_is_written(files, capsys, old, new, said):
    write(files / "log.csv", LOG.replace(old, new))
    assert main(["import", "log", "log.csv", "--out", "l"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not (files / "l").exists()


def test_a_log_takes_no_options_of_tables(files, capsys):
    write(files / "log.csv", LOG)
    assert main(["import", "log", "log.csv", "--prices", "prices.yaml"]) == 2
    assert "--prices is of outcomes that become a table, but log is a log" in capsys.readouterr().err
