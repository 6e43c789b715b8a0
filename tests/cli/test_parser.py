"""A verb's parser is its dataclass: every field an option, the learner's own settings last and hidden from --help."""

from dataclasses import fields
from pathlib import Path

import pytest

from hierrouter_jax.cli.main import VERBS, main
from hierrouter_jax.cli.parser import config_of, function_of, help_of, kinds_of, options_of, parse, parser_of
from hierrouter_jax.errors import InputError
from hierrouter_jax.studies.compare.config import Arm
from hierrouter_jax.studies.leaderboard.config import LearnerSpec


@pytest.mark.parametrize("verb", VERBS)
def test_every_field_is_an_option_with_a_help_text(verb):
    parser = parser_of(verb)
    actions = {action.dest: action for action in parser._actions}
    for name in kinds_of(verb):
        assert actions[name].help, f"{verb} --{name} has no help"
    assert {field.name for field in fields(config_of(verb)) if field.init} <= set(actions)


def test_help_shows_what_most_people_need_and_help_all_the_rest(capsys):
    short, full = help_of("train"), help_of("train", everything=True)
    assert "--train.num_seeds N" in short
    assert "--train.hyper.clip" not in short
    assert "61 more options set what a learner does: hierrouter train --help-all" in short
    assert full.index("--train.num_seeds") < full.index("--train.static.num_envs") < full.index("--train.hyper.clip")
    assert main(["train", "--help-all"]) == 0
    assert capsys.readouterr().out.strip() == full.strip()
    assert short.startswith("usage: hierrouter train table [OPTIONS]")
    assert help_of("report").startswith("usage: hierrouter report runs [runs ...] [OPTIONS]")
    assert "--json " in help_of("worth")
    assert "{true,false}" not in full


def test_options_are_named_by_their_path():
    names = dict(options_of(config_of("train")))
    assert names["train.hyper.ranges.budget.low"] is float
    assert names["fresh"] is bool
    assert "train" not in names
    assert "json" in kinds_of("worth")
    assert "json" not in kinds_of("train")


def test_a_verb_is_parsed_into_its_dataclass():
    function, keywords = parse("report", ["a", "b", "--out", "c"])
    assert function is function_of("report")
    config = keywords["config"]
    assert (config.runs, config.out, config.written) == ((Path("a"), Path("b")), Path("c"), Path("c"))
    with pytest.raises(InputError, match="'reprot' is not a verb"):
        parser_of("reprot")
    assert parse("collect", ["t", "--dry-run"])[1]["config"].written is None
    with pytest.raises(InputError, match="the following arguments are required: out"):
        parse("export", ["run"])


@pytest.mark.parametrize(
    ("verb", "name"), [("calibrate", "runs"), ("report", "runs"), ("pack", "tables"), ("leaderboard", "tables")]
)
def test_a_file_that_names_none_of_what_there_must_be_is_refused(verb, name, tmp_path):
    (tmp_path / "none.yaml").write_text(f"{name}: []\n")
    with pytest.raises(InputError, match=f"^{name} is empty, but must name one or more$"):
        parse(verb, ["--config", str(tmp_path / "none.yaml")])


def test_a_whole_number_that_no_float_can_hold_is_refused():
    with pytest.raises(InputError, match=r"a number among the options is above 1\.8e308"):
        parse("train", ["t", "--train.hyper.clip", "1" + "0" * 400])


def test_a_mapping_of_dataclasses_is_read_from_plain_data():
    arms = parse("compare", ["t", "--arms", "{a: {}, b: {learner: exact}}"])[1]["config"].arms
    assert arms == {"a": Arm(), "b": Arm(learner="exact")}
    named = parse("leaderboard", ["t", "--learners", "[exact, ppo]"])[1]["config"].learners
    assert named == {"exact": LearnerSpec(), "ppo": LearnerSpec()}
    assert len(parse("leaderboard", ["t"])[1]["config"].learners) == 4
    with pytest.raises(InputError, match=r"arms.b: lerner is not a field; did you mean learner"):
        parse("compare", ["t", "--arms", "{a: {}, b: {lerner: exact}}"])
    with pytest.raises(InputError, match=r"learners is 3, but must be fields"):
        parse("leaderboard", ["t", "--learners", "3"])
