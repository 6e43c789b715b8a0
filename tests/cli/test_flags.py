"""Options that need no value take the true and false that the help shows."""

import pytest

from hierrouter_jax.cli.main import main, parse


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
