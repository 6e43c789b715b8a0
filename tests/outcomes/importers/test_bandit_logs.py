"""Vowpal Wabbit's dsjson and the Open Bandit CSV, in the layouts of their own documentation."""

import json
import re

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.bandit_logs import read_dsjson, read_open_bandit
from hierrouter_jax.outcomes.importers.log_episodes import episodes_from
from hierrouter_jax.outcomes.log_health import check_episodes
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from tests.outcomes.outcome_files import write

EVENT = {
    "_label_cost": -1,
    "_label_probability": 0.8166667,
    "_label_Action": 2,
    "_labelIndex": 1,
    "o": [{"v": 1.0, "EventId": "38cbf24f", "ActionTaken": False}],
    "Timestamp": "2021-02-04T16:31:29.2460000Z",
    "Version": "1",
    "EventId": "38cbf24f",
    "a": [2, 1, 3],
    "c": {
        "FromUrl": [{"timeofday": "afternoon", "weather": "sunny", "name": "Cathy"}],
        "_multi": [
            {"_tag": "cappuccino", "i": {"type": "hot"}},
            {"_tag": "cold brew", "i": {"type": "cold"}},
            {"i": {"id": "iced mocha", "type": "cold"}},
        ],
    },
    "p": [0.8166667, 0.0916667, 0.0916667],
    "VWState": {"m": "ff0744c1/model-7"},
}
OPEN_BANDIT = ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,"
OPEN_BANDIT += """user-item_affinity_0,user-item_affinity_1,user-item_affinity_2
0,2019-11-24 00:00:17.004101+00:00,2,3,0,0.25,81ce123,03a5648,0.0,0.5,0.0
1,2019-11-24 00:00:18.198826+00:00,0,1,1,0.5,81ce123,2d2c0a1,1.0,0.0,2.0
"""


def dsjson(tmp_path, *events, **options):
    return list(read_dsjson(write(tmp_path / "log.dsjson", "".join(json.dumps(e) + "\n" for e in events)), **options))


def test_an_event_by_hand(tmp_path):
    (step,) = dsjson(tmp_path, EVENT)
    assert step.episode == "38cbf24f"
    assert step.candidates == ("cappuccino", "cold brew", "iced mocha")
    assert step.action == "cold brew"
    np.testing.assert_allclose(step.probs, [0.0916667, 0.8166667, 0.0916667], atol=1e-6)
    assert step.quality == 1.0
    assert step.time == pytest.approx(1612456289.246)
    assert step.policy == "ff0744c1/model-7"
    assert json.loads(step.query) == {"FromUrl": EVENT["c"]["FromUrl"]}


def test_a_reward_that_did_not_come_is_missing_and_an_action_that_was_not_shown_is_no_episode(tmp_path):
    lost = EVENT | {"EventId": "b", "o": [], "_label_cost": 0}
    skipped = EVENT | {"EventId": "c", "_skipLearn": True}
    zero = {name: value for name, value in (EVENT | {"EventId": "d", "_label_cost": 0}).items() if name != "o"}
    steps = dsjson(tmp_path, EVENT, lost, skipped, zero)
    assert [(step.episode, step.quality) for step in steps] == [("38cbf24f", 1.0), ("b", None), ("d", 0.0)]


def test_rewards_of_another_scale_need_it_stated(tmp_path):
    with pytest.raises(InputError, match=r"row 0: column 'reward' holds the score '5\.0', but scores are in"):
        dsjson(tmp_path, EVENT | {"_label_cost": -5})
    (step,) = dsjson(tmp_path, EVENT | {"_label_cost": -5}, score_range=[0, 10])
    assert step.quality == 0.5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"p": None}, "row 1: p is None, but must be a list of numbers"),
        ({"p": [0.8166667, 0.05, 0.05]}, "row 1: p sum to 0.916667, but must to 1"),
        ({"p": [0.5, 0.25, 0.25]}, "row 1: _label_probability is 0.8166667, but must be that of the first action of a"),
        (
            {"_label_probability": "0.8166667%"},
            "row 1: _label_probability is 0.8166667%, but must be that of the first",
        ),
        ({"_label_cost": "-1%"}, "row 1: _label_cost is '-1%', but must be a number: minus the reward"),
        ({"a": [2, 1]}, "row 1: a is [2, 1], but must hold each number from 1 to 3, the length of _multi, once"),
        ({"c": {"x": 1}}, "row 1: c must hold the features of each action as the list _multi"),
        ({"c": {"_multi": [{"_tag": "a"}] * 3}}, "row 1: c names the action 'a' twice in _multi"),
        ({"_outcomes": []}, "row 1: _outcomes is there: an event of several slots"),
        ({"_label_cost": "much"}, "row 1: _label_cost is 'much', but must be a number: minus the reward"),
        ({"VWState": ["m"]}, "row 1: VWState is ['m'], but must be an object (name: value)"),
        ({"Timestamp": "soon"}, "row 1: Timestamp is soon, but must be a date in ISO 8601"),
    ],
)
def test_a_bad_event_is_refused_in_one_sentence(tmp_path, change, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        dsjson(tmp_path, EVENT, EVENT | change)


def test_what_is_no_event_is_refused(tmp_path):
    for text, sentence in (("{", "row 0: not valid JSON"), ("3", "row 0: must be an object"), ("{}", "_label_cost is")):
        with pytest.raises(InputError, match=sentence):
            list(read_dsjson(write(tmp_path / "log.dsjson", text)))
    with pytest.raises(InputError, match="--columns maps columns of the format log; dsjson has names of its own"):
        dsjson(tmp_path, EVENT, columns={"quality": "x"})


def test_an_impression_by_hand(tmp_path):
    first, second = read_open_bandit(write(tmp_path / "all.csv", OPEN_BANDIT))
    assert first.candidates == ("0", "1", "2")
    assert (first.action, first.propensity, first.probs, first.quality) == ("2", 0.25, None, 0.0)
    assert (second.action, second.propensity, second.quality) == ("0", 0.5, 1.0)
    assert first.task == "position 3"
    assert first.time == pytest.approx(1574553617.004101)
    assert first.features is not None
    assert first.features[:4] == (3.0, 0.0, 0.5, 0.0)
    assert sum(first.features[4:]) == 2  # one for each user feature


def test_open_bandit_episodes_say_what_is_not_known(tmp_path):
    episodes = episodes_from(read_open_bandit(write(tmp_path / "all.csv", OPEN_BANDIT)), NGramEncoder(8))
    assert episodes.probs[0, 0].tolist() == [0.375, 0.375, 0.25, 0.0]
    (sentence,) = check_episodes(episodes)
    assert sentence.startswith("2 of 2 episodes hold the probability of the action taken alone")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "17.004101+00:00,2,3",
            "17.004101+00:00,7,3",
            "row 0: item_id is 7, but must be one of the 3 items from 0 to 2",
        ),
        (",0,0.25,", ",0,1.5,", "row 0: propensity_score is 1.5, but must be a number above 0 and at most 1"),
        (",0,0.25,", ",0,0.5%,", "row 0: propensity_score is 0.5%, but must be a number above 0 and at most 1"),
        (",1,0.5,", ",,0.5,", "row 1: click is missing"),
        ("2.0\n", "far\n", "row 1: position or affinity holds 'far', but must hold numbers"),
        ("propensity_score", "pscore", "column 'propensity_score' is missing"),
    ],
)
def test_a_bad_impression_is_refused_in_one_sentence(tmp_path, old, new, sentence):
    path = write(tmp_path / "all.csv", OPEN_BANDIT.replace(old, new))
    with pytest.raises(InputError, match=re.escape(sentence)):
        list(read_open_bandit(path))
