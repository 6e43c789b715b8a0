"""Wrong logs are refused or flagged; right ones are not, more often than is stated."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.log_health import FEEDBACK_LEVEL, check_episodes, feedback_dependence, independence
from hierrouter_jax.studies.simulate import simulate
from tests.studies.test_simulate import lopsided
from tests.tables import random_table

TABLE = random_table(seed=1, queries=12, models=2, horizon=2, tasks=3)


def traffic(episodes=3000, seed=0, feedback=1.0):
    rng = np.random.default_rng(seed)
    return simulate(TABLE, lopsided(TABLE), np.arange(12), episodes, rng, feedback=feedback)


def with_feedback_of(episodes, share, seed=0):
    """The episodes with the feedback of a share [E] of them."""
    came = np.random.default_rng(seed).random(len(episodes)) < share
    return replace(
        episodes,
        quality=np.where(came, episodes.quality, np.nan),
        quality_time=np.where(came, episodes.quality_time, np.nan),
    )


def test_a_log_that_is_right_passes_in_silence():
    assert check_episodes(traffic(feedback=0.5), TABLE.model_names) == []


def test_p_value_of_two_groups_by_hand():
    """60 of 100 against 40 of 100, half of all: 2 x 10^2 / (100 x .25) = 8 with one degree of freedom, p = .00468."""
    came = np.repeat([True, False, True, False], [60, 40, 40, 60])
    assert independence(came, np.repeat([0, 1], 100)) == pytest.approx(0.004678, rel=1e-3)


def logs_flagged(logs, episodes, level):
    return sum(
        bool(feedback_dependence(traffic(episodes, seed, feedback=[0.1, 0.5, 0.9][seed % 3]), level))
        for seed in range(logs)
    )


def test_feedback_that_depends_on_nothing_is_flagged_no_more_often_than_stated():
    """200 logs of 400 episodes at level .05: 10 expected at most, and over 20 with a probability under .001."""
    assert logs_flagged(200, 400, 0.05) <= 20


@pytest.mark.extended
def test_the_stated_rate_of_false_alarms_holds():
    """5,000 logs of 1,000 episodes at the level in use: 50 expected at most, over 75 with a probability under .001."""
    flagged = logs_flagged(5000, 1000, FEEDBACK_LEVEL)
    print(f"{flagged} of 5,000 logs are flagged")
    assert flagged <= 75


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("route", lambda its: np.where(its.action[:, 0] == 0, 0.4, 0.6)),
        ("stage of the end", lambda its: np.where(its.end == "stop", 0.4, 0.6)),
        ("cost", lambda its: np.where(its.total_cost > np.median(its.total_cost), 0.4, 0.6)),
        ("time", lambda its: np.where(its.time > np.quantile(its.time, 0.8), 0.3, 0.6)),
        ("task", lambda its: np.where(its.task == "task0", 0.4, 0.6)),
    ],
)
def test_planted_dependence_is_found_and_named(name, share):
    """Two shares .2 apart or more in 3,000 episodes, five logs each: found every time."""
    for seed in range(5):
        episodes = traffic(seed=seed)
        sentences = feedback_dependence(with_feedback_of(episodes, share(episodes), seed))
        assert any(f"feedback depends on the {name} (p = " in sentence for sentence in sentences)


def test_what_a_dependence_does_is_said():
    """Only the time decides whether feedback comes: quality is 1 before and 0 after, and comes for 9 of 10 and 1 of 10.

    Half of the episodes are early, so that the mean is .5, and that of those with feedback .9.
    """
    episodes = traffic(2000)
    early = episodes.time < np.median(episodes.time)
    came = np.where(early, np.arange(2000) % 10 > 0, np.arange(2000) % 10 == 0)
    episodes = replace(episodes, quality=np.where(came, early.astype(float), np.nan))
    (sentence,) = [its for its in feedback_dependence(episodes) if "on the time" in its]
    assert "it came for 10% to 90% of the episodes of a group" in sentence
    assert "of those with feedback is 0.900, of all episodes 0.500 if only the time decides" in sentence


def test_rare_routes_are_tested_together():
    """Each of 600 routes is taken once or twice: too few for the test alone, and their sum depends on nothing."""
    episodes = traffic(900)
    rng = np.random.default_rng(0)
    episodes = replace(episodes, action=rng.integers(600, size=episodes.action.shape))
    assert feedback_dependence(with_feedback_of(episodes, 0.5)) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda its: {"probs": its.probs * 0.9}, r"episode '00000000', stage 0: probs sum to 0.9\d*, but must to 1"),
        (lambda its: {"mask": np.zeros_like(its.mask)}, "stage 0: probs are above 0 where the mask is false"),
        (
            lambda its: {"propensity": np.where(its.taken, 1.0, its.propensity)},
            r"episode '00000000', stage 0: propensity is 1.0, but must be that of the action in probs",
        ),
        (lambda its: {"quality": np.full(len(its), np.nan)}, "none of the log's 3000 episodes has feedback"),
    ],
)
def test_what_no_estimate_can_be_right_on_is_refused(change, sentence):
    episodes = traffic()
    with pytest.raises(InputError, match=sentence):
        check_episodes(replace(episodes, **change(episodes)))


def test_another_candidate_set_is_refused():
    with pytest.raises(InputError, match="the log's candidates are m0, m1, but must be m1, m0 in this order"):
        check_episodes(traffic(), ("m1", "m0"))


def one_warning(episodes):
    (sentence,) = check_episodes(episodes)
    return sentence


def test_a_log_of_argmax_is_flagged():
    probs = lopsided(TABLE)
    greedy = (probs == probs.max(axis=-1, keepdims=True)) & (probs > 0)
    episodes = simulate(TABLE, greedy.astype(float), np.arange(12), 500, np.random.default_rng(0))
    assert "the log explores nothing: every action had probability 1" in one_warning(episodes)


def test_decisions_without_exploration_are_counted():
    probs = lopsided(TABLE)
    probs[:, 0] = [1.0, 0.0, 0.0]
    episodes = simulate(TABLE, probs, np.arange(12), 500, np.random.default_rng(0))
    total = int(episodes.taken.sum())
    assert f"500 of {total} decisions with a choice took an action of probability 1" in one_warning(episodes)


def test_propensities_of_before_exploration_are_flagged():
    """The log says the policy's own probabilities, but a tenth of the actions was drawn evenly."""
    own = lopsided(TABLE)
    legal = own > 0
    mixed = 0.7 * own + 0.3 * legal / np.maximum(legal.sum(axis=-1, keepdims=True), 1)
    episodes = simulate(TABLE, mixed, np.arange(12), 20_000, np.random.default_rng(0))
    sharp = own**3 / np.maximum((own**3).sum(axis=-1, keepdims=True), 1e-30)
    nodes = simulate(TABLE, mixed, np.arange(12), 20_000, np.random.default_rng(0))
    logged = np.where(nodes.taken[..., None], _at(sharp, nodes), 0.0)
    its = np.take_along_axis(logged, episodes.action[..., None], axis=-1)[..., 0]
    wrong = replace(episodes, probs=logged, propensity=np.where(episodes.taken, its, 1.0))
    assert "actions were not taken as often as their logged propensities say (p = " in one_warning(wrong)


def _at(probs, episodes):
    """Probabilities [E, L, A] of a policy at the nodes where episodes were, told from their contexts."""
    flat = TABLE.context_embedding.reshape(-1, TABLE.context_embedding.shape[-1])
    index = {row.tobytes(): at for at, row in enumerate(flat)}
    rows = [index.get(row.tobytes(), 0) for row in episodes.embedding.reshape(-1, flat.shape[1])]
    return probs.reshape(-1, probs.shape[-1])[rows].reshape(episodes.probs.shape)


def test_duplicated_episodes_are_counted():
    episodes = traffic(300)
    twice = episodes.only(np.array([*range(300), 7, 8]))
    renamed = replace(twice, episode_id=np.array([f"id-{row}" for row in range(302)], dtype=object))
    sentence = one_warning(renamed)
    assert sentence.startswith("2 of 302 episodes repeat the time and the content of another under a second id")
    assert "'id-300' is 'id-7'" in sentence


def test_feedback_before_its_request_is_flagged():
    episodes = traffic(300)
    early = np.where(np.arange(300) < 3, episodes.time - 60, episodes.quality_time)
    assert "the feedback of 3 of 300 episodes is older than its request (first: '00000000')" in one_warning(
        replace(episodes, quality_time=early)
    )


def test_other_settings_and_lost_episodes_are_named():
    episodes = traffic(300)
    settings, end = episodes.settings.copy(), episodes.end.copy()
    settings[:4], end[:5] = '{"temperature": 0.7}', "failed"
    first, second = check_episodes(replace(episodes, settings=settings, end=end))
    assert first.startswith("4 of 300 episodes were generated with other settings than the table's (temperature)")
    assert second.startswith("5 of 300 episodes failed or were cancelled")


def test_what_was_left_out_of_the_log_comes_first():
    assert check_episodes(replace(traffic(50), left_out=("one of them is gone",))) == ["one of them is gone"]
