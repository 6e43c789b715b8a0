"""Who takes part in a leaderboard, with everything filled in."""

from dataclasses import replace
from pathlib import Path

import pytest

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.config import from_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.studies.leaderboard.config import (
    LeaderboardConfig,
    LearnerSpec,
    entrant,
    entrants,
    folder_name,
)
from hierrouter_jax.training.settings import static_of
from tests.studies.leaderboard.known import config

CONFIG = LeaderboardConfig(
    (Path("table"),),
    learners={"exact": LearnerSpec()},
    seed=5,
    seeds=2,
    features=4,
    static=LearnerStatic(num_envs=64),
    hyper=LearnerHyper(clip=0.3),
)


def test_a_learner_is_what_all_share_with_what_it_says():
    plain = entrant(CONFIG, "exact+stop", LearnerSpec())
    (point,) = plain.points
    assert point.static == plain.static == static_of("exact+stop", CONFIG.static)
    assert (point.hyper.clip, point.features, point.seeds, plain.tried) == (0.3, 4, (5, 6), 2)
    own = entrant(CONFIG, "mine", LearnerSpec("ppo", 7, {"num_envs": 32}, {"clip": 0.1}, seeds=3, ensemble=True))
    (point,) = own.points
    assert (point.learner, point.static.num_envs, point.hyper.clip, point.features) == ("ppo", 32, 0.1, 7)
    assert (own.seeds, own.ensemble, own.tried) == (3, True, 1)


def test_every_combination_of_a_grid_is_a_point_and_the_last_varies_fastest():
    spec = LearnerSpec(hyper={"entropy": 0.5, "clip": 0.9}, tune={"features": [2, 3], "clip": [0.1, 0.2]})
    grid = entrant(CONFIG, "exact", spec)
    points = [(point.features, point.hyper.clip, point.hyper.entropy) for point in grid.points]
    assert points == [(2, 0.1, 0.5), (2, 0.2, 0.5), (3, 0.1, 0.5), (3, 0.2, 0.5)]
    assert grid.tried == 8


def test_a_function_of_the_users_own_takes_part_as_it_is():
    own = entrant(CONFIG, "mine", LearnerSpec(fit="mine.py:fit"))
    assert (own.fit, own.seeds, own.tried, own.points[0].features) == ("mine.py:fit", 1, 1, 4)


def test_stop_makes_a_learner_of_its_own_where_there_is_something_to_stop():
    both = replace(CONFIG, learners={"exact": LearnerSpec(), "exact+stop": LearnerSpec()})
    assert list(entrants(both, 2)[0]) == ["exact", "exact+stop"]
    taking, left = entrants(both, 1)
    assert list(taking) == ["exact"]
    assert left["exact+stop"].endswith("nothing to stop; it would be exact")
    other = replace(both, learners={"exact": LearnerSpec(), "exact+stop": LearnerSpec(hyper={"clip": 0.1})})
    assert list(entrants(other, 1)[0]) == ["exact", "exact+stop"]


def test_guidance_is_tuned_where_a_second_hop_can_mislead_about_the_first():
    """Three seeds with guidance and three without; on one hop the three are the same, so they are run once."""
    by_default = LeaderboardConfig(CONFIG.tables)
    deep, flat = entrants(by_default, 2)[0], entrants(by_default, 1)[0]
    assert [float(point.hyper.guidance) for point in deep["exact+stop"].points] == pytest.approx([0.0, 0.99])
    assert (deep["exact"].tried, flat["exact"].tried, deep["ppo"].tried) == (6, 3, 3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (LearnerSpec(static={"algorithm": "ppo"}), "learners.exact: static.algorithm is set by the learner's name"),
        (
            LearnerSpec(static={"num_env": 3}),
            r"learners.exact: static: num_env is not a field; did you mean num_envs\?",
        ),
        (LearnerSpec(hyper={"features": 3}), "learners.exact: features is not a number of the learner"),
        (LearnerSpec(tune={"reward.hop_cost": [1.0]}), "learners.exact: reward.hop_cost is set by cost_weights"),
        (LearnerSpec(static={"budgeted": True}), "learners.exact: a leaderboard compares at cost weights"),
        (
            LearnerSpec(tune={"features": [8, 0]}),
            "learners.exact: tune.features is 0, but must be a whole number",
        ),
        (LearnerSpec(tune={"features": [-4]}), "learners.exact: tune.features is -4, but must be a whole number"),
        (LearnerSpec(tune={"features": [96.7]}), "learners.exact: tune.features is 96.7, but must be a whole number"),
        (LearnerSpec("exat"), r"learners.exact: learner 'exat' is unknown; did you mean exact\?"),
    ],
)
def test_what_is_wrong_is_named_with_its_learner(spec, message):
    with pytest.raises(InputError, match=message):
        entrant(CONFIG, "exact", spec)


def test_learners_are_read_from_plain_data():
    data = {"tables": ["table"], "learners": {"exact": {}, "mine": {"learner": "ppo", "seeds": 2}}}
    assert from_dict(LeaderboardConfig, data, "mine.yaml").learners == {
        "exact": LearnerSpec(),
        "mine": LearnerSpec("ppo", seeds=2),
    }
    with pytest.raises(InputError, match=r"learners.mine.seds is not a field; did you mean seeds\?"):
        from_dict(LeaderboardConfig, {"tables": ["table"], "learners": {"mine": {"seds": 2}}}, "mine.yaml")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"folds": 3}, "choose one of them"),
        ({"test": 0}, "need both"),
        ({"splits": 0, "test": 0}, "give --splits and --test too"),
        ({"validation": 1.0}, "must be a finite number above 0 and below 1"),
        ({"cost_weights": (0.0, 0.0)}, "different numbers"),
        ({"learners": {"ours": LearnerSpec()}}, "'ours' is no name"),
        ({"learners": {"..": LearnerSpec("exact")}}, "'..' is no name to take part under; .* with no . first"),
        (
            {"learners": {"exact": LearnerSpec(hyper={"reward.hop_cost": 1.0})}},
            "learners.exact: reward.hop_cost is set",
        ),
        (
            {"learners": {"exact": LearnerSpec(hyper={"wieght_decay": 1.0})}},
            "learners.exact: .*did you mean weight_decay",
        ),
        ({"learners": {"exakt": LearnerSpec()}}, "learners.exakt: .*did you mean exact"),
    ],
)
def test_what_makes_no_leaderboard_is_refused(tmp_path, more, said):
    with pytest.raises(InputError, match=said):
        config(tmp_path, tmp_path, **more)


def test_learners_with_and_without_stop_are_two_where_there_is_something_to_stop(tmp_path):
    two = config(tmp_path, tmp_path, learners={"exact": LearnerSpec(), "exact+stop": LearnerSpec()})
    assert list(entrants(two, horizon=2)[0]) == ["exact", "exact+stop"]
    assert list(entrants(two, horizon=1)[0]) == ["exact"]
    assert folder_name(Path("runs/quickstart/table")) == "quickstart"
    assert folder_name(Path("tables/mine")) == "mine"
