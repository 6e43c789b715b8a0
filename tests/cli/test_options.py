"""Options in every form that a shell gives them are one; what is none is refused with the nearest right name."""

from pathlib import Path

import pytest

from hierrouter_jax.cli.main import main, parse
from hierrouter_jax.cli.options import check_options, explain, normalized
from hierrouter_jax.cli.verbs import Verb
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError

KINDS = {"out": Path, "dry_run": bool, "json": bool, "train.seed": int, "axes": tuple, "config": Path}


@pytest.mark.parametrize(
    ("arguments", "json"),
    [
        (["t"], False),
        (["t", "--json"], True),
        (["t", "--json", "true"], True),
        (["t", "--json", "false"], False),
        (["t", "--json=true"], True),
        (["t", "--json=false"], False),
        (["--json", "t"], True),
        (["--json", "true", "t"], True),
        (["--json", "false", "t"], False),
        (["t", "--json", "--query", "q"], True),
        (["t", "--query", "true", "--json"], True),
        (["t", "--json", "false", "--query", "q"], False),
    ],
)
def test_a_flag_may_have_its_value_behind_it(arguments, json):
    _, options = parse("inspect", arguments)
    assert options["json"] is json
    assert str(options["config"].table) == "t"


def test_every_flag_of_a_verb_takes_both():
    for flag in ("--resplit", "--public_test", "--json"):
        for value in ("true", "false"):
            _, options = parse("import", ["long", "o.csv", flag, value])
            assert (options | vars(options["config"]))[flag[2:]] is (value == "true")


def test_another_value_is_refused(capsys):
    assert main(["inspect", "t", "--json", "perhaps"]) == 2
    assert "perhaps" in capsys.readouterr().err


def test_a_number_of_thousands_of_digits_is_one_sentence(capsys):
    assert main(["train", "t", "o", "--train.seed", "9" * 5000]) == 2
    said = capsys.readouterr().err
    assert "train.seed" in said
    assert "4300 digits" in said


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--dry-run"], ["--dry_run=true"]),
        (["--dry_run", "false"], ["--dry_run=false"]),
        (["--no-dry-run"], ["--dry_run=false"]),
        (["--no_json", "t"], ["--json=false", "t"]),
        (["--train.seed", "-1"], ["--train.seed=-1"]),
        (["a", "--out", "b", "c"], ["--out=b", "a", "c"]),
        (["--out", "b", "--", "--json"], ["--out=b", "--", "--json"]),
        (["--no-such", "x"], ["--no-such=x"]),
        (["--out", "--json"], ["--out", "--json=true"]),
        (["-"], ["--", "-"]),
    ],
)
def test_every_form_of_an_option_is_one(arguments, options):
    assert normalized(arguments, KINDS, Verb("m", "h", "e")) == options


def test_what_a_verb_takes_without_a_name_gets_one():
    verb = Verb("m", "h", "e", first="out", gathers="axes")
    assert normalized(["x=1", "f", "--json", "y=2,3"], KINDS, verb) == [
        "--json=true",
        '--axes=["x=1", "y=2,3"]',
        "--out=f",
    ]
    assert normalized(["a", "b"], KINDS, Verb("m", "h", "e"), several="runs") == ['["a", "b"]']


@pytest.mark.parametrize("arguments", [["--config", "train/fast.yaml"], ["--config=train/fast.yaml"]])
def test_a_preset_is_found_in_both_forms(arguments):
    assert normalized(arguments, KINDS, Verb("m", "h", "e")) == [f"--config={config_path('train/fast.yaml')}"]
    assert parse("train", ["t", *arguments])[1]["config"].train.learners == ("exact",)


def test_an_unknown_option_is_refused_with_the_nearest_name():
    check_options(set(KINDS), ["--out=b", "--train.seed=1", "--axes={a: 1}"])
    with pytest.raises(InputError, match=r"^--dry_ru is not an option; did you mean --dry_run\?$"):
        check_options(set(KINDS), ["--dry_ru=true"])
    with pytest.raises(InputError, match=r"^--train: train.sed is not an option; did you mean seed\?$"):
        check_options(set(KINDS), ["--train={sed: 1}"])


def test_a_value_that_the_parser_refuses_is_told_in_plain_words():
    error = Exception("Parser key \"train.seed\": Expected a <class 'int'>. Got value: x")
    assert explain(error, ["--train.seed=x"]) == "--train.seed is 'x', but must be a whole number"
    assert explain(error, ["--config=f.yaml"]) == "f.yaml: train.seed is 'x', but must be a whole number"
    assert explain(Exception("as it\n is"), []) == "as it is"


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (["collect", "t", "--plan", "foo"], "one of all, promising, frontier"),
        (["collect", "t", "--replicate_by", "[a]"], "one of seed, order"),
        (["sweep", "t", "--draw", "foo"], "one of grid, random, sobol, optuna"),
        (["collect", "t", "--counts", "5"], "fields (name: a whole number)"),
        (["collect", "t", "--counts", "{train: a}"], "fields (name: a whole number)"),
        (["import", "long", "o.csv", "--columns", "foo"], "fields (name: text)"),
        (["import", "long", "o.csv", "--score_range", "5"], "fields (name: a list) or a list"),
        (["pack", "t", "--encoders", "5"], "a list"),
        (["worth", "t", "--controls", "5"], "fields (name: text)"),
    ],
)
def test_a_choice_and_a_collection_are_told_in_plain_words_too(arguments, right):
    with pytest.raises(InputError) as refused:
        parse(arguments[0], arguments[1:])
    assert str(refused.value).startswith(f"{arguments[-2]} is ")
    assert str(refused.value).endswith(f", but must be {right}")
