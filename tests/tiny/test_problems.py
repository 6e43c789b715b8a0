"""The problems in words, and the specialists that ship."""

import json
import random
from importlib.resources import files
from pathlib import Path

import pytest
from transformers import AutoConfig

from hierrouter_jax.tiny.arithmetic import facts, is_held_out, is_held_out_number
from hierrouter_jax.tiny.problems import (
    NUM_TEST_ONLY,
    PHRASINGS,
    TEMPLATES,
    Problem,
    ask,
    draw_problem,
    draw_walk,
    expression_problem,
    fact_problem,
    number_problem,
    taught_response,
    word_problem,
)

SPECIALISTS = Path(str(files("hierrouter_jax"))) / "specialists"


def test_there_are_eight_templates_a_kind_two_of_them_for_the_test_split():
    assert all(len(set(stock)) == len(stock) >= 8 for stock in TEMPLATES.values())
    assert NUM_TEST_ONLY == 2


@pytest.mark.parametrize("name", ["reader", "calculator", "speller"])
def test_the_specialists_that_ship_are_small_and_good(name):
    """At most half a million weights in at most 1 MB, at least 97 % on every skill they were taught."""
    card = json.loads((SPECIALISTS / name / "card.json").read_text())
    assert (SPECIALISTS / name / "model.safetensors").stat().st_size <= 1_000_000
    assert card["parameters"] <= 500_000
    assert AutoConfig.from_pretrained(SPECIALISTS / name).model_type == "llama"
    taught = {skill: share for skill, share in card["accuracy"].items() if skill != "bare_number_left_alone"}
    assert len(taught) >= 2
    assert min(taught.values()) >= 0.97, taught
    assert card["accuracy"].get("bare_number_left_alone", 0) <= 0.2


WORD = Problem("story", "12+7-5", "word", "word/two_step/0", False)
SUM = Problem("Compute 12+7.", "12+7", "expression", "expression/0", False)
BARE = Problem("Look at 41.", "41", "number", "number/3", False)


@pytest.mark.parametrize(
    ("specialist", "problem", "responses", "taught"),
    [
        ("reader", WORD, [], "12+7-5"),
        ("reader", SUM, [], None),
        ("reader", SUM, ["19"], "19"),
        ("calculator", SUM, [], "19"),
        ("calculator", WORD, [], None),
        ("calculator", WORD, ["12+7-5"], "19-5"),
        ("calculator", BARE, [], None),
        ("speller", BARE, [], "forty-one"),
        ("speller", SUM, [], None),
        ("speller", SUM, ["19", "nineteen"], "nineteen"),
    ],
)
def test_what_a_specialist_is_taught_by_hand(specialist, problem, responses, taught):
    assert taught_response(specialist, problem, responses) == taught


def test_problems_are_their_template_filled_in():
    """The generator is seeded, so each draw is known; only templates before the last two without the test split."""
    rng = random.Random(0)
    problems = [expression_problem(rng, "1+2", False) for _ in range(50)]
    assert {problem.template for problem in problems} == {f"expression/{row}" for row in range(6)}
    assert all(p.text == TEMPLATES["expression"][int(p.template[-1])].format(e="1+2") for p in problems)
    assert not any(problem.test_only for problem in problems)
    assert number_problem(rng, 41, True).content == "41"
    story = word_problem(rng, "3*4", False)
    assert (story.content, story.kind, story.template[:14]) == ("3*4", "word", "word/multiply/")
    two = word_problem(rng, "3*4-5", False)
    assert "3 bags of 4 " in two.text
    fact = facts()[0]
    assert fact.key in fact_problem(rng, fact, True).text


def test_the_query_asks_for_a_form_of_the_answer():
    asked = {ask(random.Random(seed), SUM, "words") for seed in range(60)}
    assert asked == {phrasing.format(p=SUM.text) for phrasing in PHRASINGS["words"]}


@pytest.mark.parametrize("held_out", [False, True])
def test_drawn_problems_are_seen_in_training_or_held_out(held_out):
    rng = random.Random(3)
    for kind in ("expression", "word", "number"):
        problem = draw_problem(rng, kind, held_out)
        assert problem.kind == kind
        check = is_held_out_number(int(problem.content)) if kind == "number" else is_held_out(problem.content)
        assert check is held_out
    assert draw_problem(rng, "fact", held_out).kind == "fact"


def test_a_walk_ends_with_the_specialist_and_gives_up_where_nothing_is_taught():
    walk = draw_walk(random.Random(0), "calculator", SUM, 1)
    assert walk == ["19"]
    assert draw_walk(random.Random(0), "reader", SUM, 1) is None
    longer = draw_walk(random.Random(1), "reader", SUM, 3)
    assert longer is not None
    assert len(longer) == 3
    assert longer[-1] == longer[-2]
