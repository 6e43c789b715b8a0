"""The words of a page follow its numbers: headlines, verdicts, and the transcripts that are shown."""

import re
from pathlib import Path

import pytest

import hierrouter_jax
from hierrouter_jax.report.data.headlines import (
    answered_right,
    choice_sentence,
    choose_transcripts,
    headlines,
    live_sentence,
    right_hops,
    transcript_notes,
    verdict,
)
from tests.report.page_reader import policy_row


def test_the_headline_follows_the_interval(numbers):
    numbers["policies"] = [row for row in numbers["policies"] if row["name"] != "ppo"]
    opponent = "task-sequence+stop"
    comparison = next(c for c in numbers["comparisons"] if (c["policy"], c["opponent"]) == ("ppo+stop", opponent))
    won = headlines(numbers)[0]
    assert "answers 95.8\u202f% of 600 test queries right, 24.3 points more than task-sequence+stop" in won
    assert "interval +20.5 to +28.2" in won
    assert "at 0.97 times its cost and 2.48 times the cost of reader" in won
    comparison.update(difference=-0.031, ci=[-0.05, -0.012])
    assert "3.1 points fewer than" in headlines(numbers)[0]
    assert "so it loses to it" in headlines(numbers)[0]
    comparison.update(difference=0.007, ci=[-0.02, 0.034])
    assert "differs by +0.7 points" in headlines(numbers)[0]
    assert "which is undecided" in headlines(numbers)[0]
    cost = "right, at 0.97 times the cost of task-sequence+stop and 2.48 times the cost of reader, the cheapest single"
    assert f"{cost} model; from task-sequence+stop, the best opponent" in headlines(numbers)[0]


def test_the_headline_says_what_holds_over_the_learners_seeds(numbers):
    comparison = next(c for c in numbers["comparisons"] if c["policy"] == "ppo+stop" and "task" in c["opponent"])
    assert "over its" not in " ".join(headlines(numbers))
    comparison["over_seeds"] = {"seeds": 3, "difference": 0.2, "ci": [-0.01, 0.41], "verdict": "undecided"}
    assert "; over its 3 seeds +20.0 (-1.0 to +41.0), undecided" in " ".join(headlines(numbers)).replace("\u2212", "-")


def test_the_headline_never_hides_a_better_blind_opponent(numbers):
    policy_row(numbers, "task-sequence").update(accuracy=0.97)
    sentence = next(text for text in headlines(numbers) if "router ppo+stop answers" in text)
    assert "; task-sequence, the best opponent that does not look at the responses, answers 97.0\u202f% (" in sentence
    assert "without a paired interval in this run, so neither leads" in sentence


def test_the_headline_names_a_single_call_that_is_as_good_for_less(numbers):
    def sentence():
        return next(text for text in headlines(numbers) if "router ppo+stop answers" in text)

    learned = policy_row(numbers, "ppo+stop")
    once = policy_row(numbers, "task-sequence") | {"name": "long-once", "kind": "external", "cost": learned["cost"] / 2}
    numbers["policies"].append(once)
    once["accuracy"] = learned["accuracy"] - 0.01
    assert "long-once" not in sentence()
    once["accuracy"] = learned["accuracy"]
    call = (
        "; long-once, one call of a model outside the pool, answers 95.8\u202f% at 0.50 times the router\u2019s cost."
    )
    assert sentence().endswith(call)
    once["cost"] = learned["cost"] * 1.1
    assert "long-once" not in sentence()
    once["cost"] = learned["cost"] = 0.0  # a pool that costs nothing: there is no ratio
    assert sentence().endswith("; long-once, one call of a model outside the pool, answers 95.8\u202f%.")


def test_a_fixed_router_is_held_against_its_own_moves_and_told_of_better_ones(numbers):
    def sentence():
        return next(text for text in headlines(numbers) if "router ppo answers" in text)

    against = "28.8 points more than task-sequence, the best opponent that does not look at the responses and makes as"
    assert against in sentence()
    assert "with fewer hops" not in sentence()
    policy_row(numbers, "task-sequence+stop").update(accuracy=0.96)
    assert sentence().endswith("; task-sequence+stop, with fewer hops, answers 96.0\u202f%.")


def test_a_run_without_a_learned_router_claims_none(numbers):
    numbers["policies"] = [row for row in numbers["policies"] if row["kind"] != "learned"]
    best = "task-sequence+stop answers 71.5\u202f% of 600 test queries right."
    assert headlines(numbers) == [f"No learned router was evaluated; {best}"]


@pytest.mark.parametrize(
    ("interval", "p", "word"),
    [
        ((0.01, 0.03), {"p_value": 0.01}, "better"),
        ((-0.03, -0.01), {"p_value": 0.01, "p_holm": 0.03}, "worse"),
        ((-0.005, 0.02), {"p_value": 0.01}, "tied"),
        ((-0.02, 0.02), {"p_value": 0.6}, "undecided"),
        ((0.01, 0.03), {"p_value": 0.01, "p_holm": 0.06}, "tied"),  # not better once it is corrected, nor a point worse
        ((-0.03, -0.01), {"p_value": 0.01, "p_holm": 0.06}, "undecided"),
    ],
)
def test_verdicts_by_hand(interval, p, word):
    assert verdict({"difference": sum(interval) / 2, "ci": interval, **p}) == word


def test_the_headline_claims_nothing_that_the_corrected_p_value_does_not_bear(numbers):
    (comparison,) = (c for c in numbers["comparisons"] if c["opponent"] == "task-sequence+stop")
    comparison.update(difference=0.02, ci=[0.001, 0.04], p_value=0.03, p_holm=0.09)
    sentence = headlines(numbers)[0]
    assert "points more than" not in sentence
    assert "differs by +2.0 points" in sentence
    assert "which is tied: at most 1 point worse" in sentence


def test_live_disagreement_is_said(numbers):
    assert "600 of 600 queries took the table\u2019s route and 600 of 600 got" in live_sentence(numbers)
    numbers["live"]["responses_equal"] = 598
    assert "and 598 got its responses: the table does not" in live_sentence(numbers)


def test_transcripts_are_chosen_for_what_they_show():
    def one(task, stopped, *responses):
        hops = [{"model": "reader", "response": response} for response in responses]
        last = responses[-1]
        ending = {"stopped": stopped, "answer": last, "quality": float(last == "14")}
        return {"task": task, "gold": "14", "hops": hops, **ending}

    plain = [one("a", False, "14", "14") for _ in range(5)]
    repaired, damaged = one("a", False, "7-5", "14"), one("b", False, "14", "fourteen")
    stopped = one("a", True, "14")
    chosen = choose_transcripts([*plain, repaired, damaged, stopped], count=3)
    assert damaged in chosen
    assert repaired in chosen
    assert stopped in chosen
    assert transcript_notes(repaired) == ["repaired on the way"]
    assert transcript_notes(damaged) == ["damaged on the way"]
    assert transcript_notes(stopped) == ["stopped after 1 hop"]


def test_a_hop_is_right_by_its_quality_or_by_its_words():
    hops = [
        {"response": "7"},
        {"response": " 14 "},
        {"response": "14", "quality": 0.0},
        {"response": "x", "quality": 1.0},
    ]
    transcript = {"gold": "14", "answer": "x", "quality": 1.0, "hops": hops}
    assert right_hops(transcript) == [False, True, False, True]
    assert answered_right(transcript)
    assert not answered_right({**transcript, "quality": 0.49})


def test_a_right_answer_is_one_constant(monkeypatch):
    transcript = {"gold": "14", "answer": "x", "quality": 0.6, "hops": [{"response": "x", "quality": 0.6}]}
    assert (answered_right(transcript), right_hops(transcript)) == (True, [True])
    monkeypatch.setattr("hierrouter_jax.report.data.headlines.RIGHT", 0.7)
    assert (answered_right(transcript), right_hops(transcript)) == (False, [False])
    sources = [path for path in Path(hierrouter_jax.__file__).parent.rglob("*") if path.suffix in (".py", ".j2")]
    assert len(sources) > 100
    by_hand = re.compile(r"quality\S* >= 0?\.5\b")
    assert [str(path) for path in sources if by_hand.search(path.read_text(encoding="utf-8"))] == []


def test_the_page_says_what_is_exported():
    rivals = [{"policy": name, "kind": "plan", "validation_return": 0.5} for name in ("a", "b", "c")]
    chosen = {"policy": "predict-then-plan", "kind": "plan", "candidates": rivals}
    assert choice_sentence({"chosen": chosen}) == (
        "Exported is predict-then-plan, of kind plan: its return on the validation queries is the best of 3 policies."
    )
    assert choice_sentence({}) == choice_sentence({"chosen": None}) == ""
