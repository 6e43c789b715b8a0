"""What a forecast of partial trees bounds, by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.bridge.forecast import (
    Assumptions,
    PartialTrees,
    StatedSize,
    forecast_collection,
    mix_questions,
    query_questions,
)
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt, OwnPrompt
from hierrouter_jax.bridge.tasks import MixConfig
from hierrouter_jax.bridge.tasks.config import Share
from hierrouter_jax.cli.configs import CollectConfig
from hierrouter_jax.cli.forecast import print_forecast
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.studies.partial import PartialConfig

POOL = PoolConfig(tuple(ModelConfig(name, "none/model", 10, base_rate=1.0) for name in ("a", "b")))
TAKEN = Assumptions("abacus", 1.0, 1.0, 1.0, characters_per_token=1.0, sizes={"none/model": StatedSize(10**9, 1, 1)})
TREES = PartialTrees("frontier", whole=0.15, expanded=(1, 1))


def asked(**splits: int) -> list[Query]:
    return [
        Query(f"{split}{row}", f"{split[:2]}{row}", "task", "", split)
        for split, count in splits.items()
        for row in range(count)
    ]


def test_calls_by_hand():
    """Of ten training queries 15 % are two: eight are partial, and the second hop follows one of their two nodes."""
    forecast = forecast_collection(query_questions(asked(train=10, test=2)), POOL, 2, TAKEN, trees=TREES)
    assert forecast.partial == 8
    assert [(c.hop, c.hops, c.fewest, c.most) for c in forecast.calls] == [
        (1, 12, 12, 12),
        (1, 12, 12, 12),
        (2, 4 * 2 + 8, 4, 4 * 2 + 8),
        (2, 4 * 2 + 8, 4, 4 * 2 + 8),
    ]
    # Texts of 3 characters, a response of 10, and two ends of lines; responses are of 10.
    assert forecast.calls[2].expected.tokens_out == 16 * 10
    assert forecast.calls[2].expected.tokens_in == 16 * (3 + 1 + 10 + 1)


def test_a_control_is_called_once_a_question_and_then_known():
    pool = replace(POOL, prompt=HopPrompt(members={"b": OwnPrompt(fresh="a")}))
    forecast = forecast_collection(query_questions(asked(test=3)), pool, 3, TAKEN)
    assert [(call.hop, call.model, call.hops, call.fewest, call.most) for call in forecast.calls] == [
        (1, "a", 3, 3, 3),
        (1, "b", 3, 3, 3),
        (2, "a", 6, 3, 6),
        (2, "b", 6, 0, 0),
        (3, "a", 12, 3, 12),
        (3, "b", 12, 0, 0),
    ]
    assert forecast.total("b")["expected"]["tokens_in"] == 3 * (3 + 1)
    alone = forecast_collection(
        query_questions(asked(test=3)), replace(POOL, prompt=HopPrompt(responses="none")), 3, TAKEN
    )
    assert alone.total()["most"] == alone.total()["fewest"] == 2 * 3


def test_under_three_seeds_there_are_three_times_the_calls():
    one, three = (
        forecast_collection(questions, POOL, 2, TAKEN, trees=TREES)
        for questions in (query_questions(asked(train=20)), query_questions(asked(train=20)).times(3))
    )
    assert (three.questions, three.partial) == (3 * one.questions, 3 * one.partial) == (60, 51)
    assert [call.most for call in three.calls] == [3 * call.most for call in one.calls]
    assert "under 3 seeds" in three.notes[0]


def test_a_text_that_is_also_asked_elsewhere_is_of_a_whole_tree():
    """Each training text is a test text as well, so that all calls are made, whatever the coverage."""
    twice = [*asked(train=4), *(Query(f"again{row}", f"tr{row}", "task", "", "test") for row in range(4))]
    forecast = forecast_collection(query_questions(twice), POOL, 2, TAKEN, trees=TREES)
    assert (forecast.partial, forecast.calls[2].most, forecast.calls[2].hops) == (3, 4 * 2, 5 * 2 + 3)


def test_the_training_queries_of_a_mix_are_those_that_it_asks_for(tmp_path):
    rows = "".join(json.dumps({"question": f"{row} + 2?", "answer": "so #### 4"}) + "\n" for row in range(2))
    (tmp_path / "test.jsonl").write_text(rows)
    (tmp_path / "task.yaml").write_text(
        "name: sums\nsource: {path: json, files: {test: test.jsonl}, splits: {train: test, test: test}}\nrows: gsm8k\n"
        "grader: hierrouter_jax.bridge.grading.gsm8k:Gsm8kGrader\n"
        "prompt: {question: '{{ question }}', answer: '{{ gold }}'}\n"
    )
    questions = mix_questions(MixConfig({str(tmp_path / "task.yaml"): Share(train=7, test=2)}))
    assert questions.training_queries == {"sums": 7}
    assert questions.training.tolist() == [3.5, 3.5]
    assert TREES.queries(questions) == TREES.weight(questions).sum() == 5


GROWN = "Trees of 3 training queries are partial: they hold each model's first hop, and go on after at most"
SAID = [
    (
        "frontier",
        "plan frontier: at most 100 hops from at most 100 calls; at least 36, if all",
        f"{GROWN} 2 of hop 1 and 2",
    ),
    ("promising", "plan promising: at most 112 hops from at most 112 calls; at least 36", f"{GROWN} 2 of hop 1 and 4"),
    ("all", "every route: 112 hops from at most 112 calls; at least 48, if all responses to a query were alike.", ""),
]


@pytest.mark.parametrize(("plan", "counts", "grown"), SAID)
def test_a_dry_run_says_what_is_bounded(tmp_path, capsys, plan, counts, grown):
    """Five whole trees of 14 hops; a partial one has 2, and 2 after each of at most 2 nodes at hops 2 and 3."""
    (tmp_path / "taken.yaml").write_text(
        "device: abacus\npeak_flops: 1.0e+12\nreading_utilisation: 0.5\nwriting_utilisation: 0.05\n"
        f"sizes: {{none/model: {{parameters: {10**9}, layers: 2, width: 8}}}}\n"
    )
    settings = PartialConfig(visited=0.6)
    config = CollectConfig(assumptions=str(tmp_path / "taken.yaml"), plan=plan, partial=settings)
    print_forecast(asked(train=4, test=4), POOL, config, json=False)
    printed = capsys.readouterr().out
    assert counts in printed
    assert grown in printed
    print_forecast(asked(train=4, test=4), POOL, config, json=True)
    said = json.loads(capsys.readouterr().out)["trees"]
    assert said is None if plan == "all" else (said["plan"], said["partial_queries"]) == (plan, 3)


@pytest.fixture
def task(tmp_path):
    """A task of two test rows; its training file is not here."""
    (tmp_path / "test.jsonl").write_text(
        "".join(json.dumps({"question": q, "answer": "so #### 4"}) + "\n" for q in ("2 + 2?", "What is 2 + 2?"))
    )
    (tmp_path / "task.yaml").write_text(
        "name: sums\nsource: {path: json, files: {train: train.jsonl, test: test.jsonl}, "
        "splits: {train: train, test: test}}\nrows: gsm8k\n"
        "grader: hierrouter_jax.bridge.grading.gsm8k:Gsm8kGrader\n"
        "prompt: {question: '{{ question }}', answer: '{{ gold }}'}\n"
    )
    return str(tmp_path / "task.yaml")


def test_rows_that_can_be_read_stand_for_the_questions_of_a_mix(task):
    questions = mix_questions(MixConfig({task: Share(train=7, test=2)}))
    assert questions.texts == ("2 + 2?", "What is 2 + 2?")
    np.testing.assert_array_equal(questions.weight, [4.5, 4.5])
    assert questions.total == 9
    assert questions.notes == ("sums: 2 rows stand for 9 queries, as its split train cannot be read here",)
    with pytest.raises(InputError, match=r"train\.jsonl: no such file"):
        mix_questions(MixConfig({task: Share(train=7)}))
    with pytest.raises(InputError, match="every count is 0"):
        mix_questions(MixConfig({task: Share()}))
