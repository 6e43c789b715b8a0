"""No difference is claimed where there is none: families of arms that are one learner with other seeds, redrawn."""

import numpy as np
import pytest
from scipy import stats

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.studies.compare.claims import PRIMARY, Judgement, measures
from scripts.null_families import Pool, cell, differences, judged, main, trained_pool
from tests.false_claims import draws
from tests.tables import random_table

WEIGHTS = (0.01, 0.1)
STATIC = LearnerStatic("exact", allow_stop=True, num_envs=64, num_updates=4, evaluate_every=2, hidden=(16, 16))


def pool_of(runs: int = 40, queries: int = 80, spread: float = 1.0) -> Pool:
    """Policies about half right, that seeds and queries tell apart, at a cost of about 1."""
    rng = np.random.default_rng(0)
    quality = np.clip(0.5 + 0.5 * draws(rng, len(WEIGHTS), runs, queries, spread), 0, 1)
    cost = 1 + 0.2 * rng.random((len(WEIGHTS), runs, queries))
    return Pool(cost, quality, WEIGHTS, 1.0, {"cost": 2.0, "cost_range": [0.5, 2.0]})


def test_a_family_is_judged_as_compare_judges():
    """The first arm's return and hypervolume, by what `compare` calls for each row."""
    pool = pool_of()
    rng = np.random.default_rng(5)
    chosen, rows = rng.choice(40, (3, 4), replace=False), rng.integers(80, size=80)
    cost, quality = (values[:, chosen][..., rows] for values in (pool.cost, pool.quality))
    judgement = Judgement(np.arange(80), pool.reference, 100)
    its = measures(np.array(WEIGHTS), 1.0, pool.reference, cost[:, 0].mean(axis=(1, 2)))
    slow = [
        judgement.difference((cost[:, arm], quality[:, arm]), (cost[:, 0], quality[:, 0]), measure)
        for arm in (1, 2)
        for name, _, measure in its
        if name in PRIMARY
    ]
    ours = differences(pool, 4, 2, 0.0, 0.0, np.random.default_rng(5))
    assert ours.mean(axis=(1, 2)) == pytest.approx([one.value for one in slow])
    assert len(slow) == 2 * 3
    returned = quality[0] - WEIGHTS[0] * cost[0]
    assert slow[0].value == pytest.approx(returned[1].mean() - returned[0].mean())
    ((family, _),) = judged(pool, 4, 2, 1, 0.0, 0.0, seed=3)
    again = differences(pool, 4, 2, 0.0, 0.0, np.random.default_rng([3, 4, 2]))
    assert [one.value for one in family] == pytest.approx(list(again.mean(axis=(1, 2))))


@pytest.mark.parametrize(("seeds", "arms", "effects"), [(2, 2, 0.0), (3, 2, 0.0), (5, 1, 0.0), (3, 1, 0.1)])
def test_false_claims_are_as_rare_as_they_should_be(seeds, arms, effects):
    """150 families: the 99 % interval of the share with any claim does not lie above .05; most intervals hold 0."""
    one = cell(pool_of(), seeds, arms, families=150, effects=effects)
    assert one.false_claims_ci[0] <= 0.05
    assert one.coverage >= 0.93
    assert one.refused == 0


def test_p_values_over_queries_alone_claim_far_too_much():
    """Why seeds are crossed: the same families, judged as if their runs were all that there is."""
    one = cell(pool_of(spread=3.0), 3, 2, families=100)
    assert one.ignoring_seeds > 0.15 > one.false_claims + 0.05


def test_one_seed_claims_nothing_and_a_large_lead_is_seen():
    alone = cell(pool_of(), 1, 2, families=20, lead=0.3)
    assert (alone.refused, alone.false_claims, alone.power) == (20, 0.0, 0.0)
    assert cell(pool_of(), 5, 1, families=40, lead=0.3).power >= 0.9


def test_a_lead_is_as_large_as_it_says():
    """Answers on queries drawn anew turn right: on average accuracy rises by the lead, return with it."""
    pool, rng = pool_of(), np.random.default_rng(1)
    with_it = [differences(pool, 5, 1, 0.1, 0.0, rng)[0].mean() for _ in range(300)]
    assert np.mean(with_it) == pytest.approx(0.1, abs=0.01)


def test_the_script_runs_on_policies_that_it_trains(tmp_path, capsys):
    from hierrouter_jax.files import read_json
    from hierrouter_jax.outcomes.store import save_table

    save_table(random_table(queries=60, models=2, horizon=2), tmp_path / "table")
    shapes = {"static": STATIC, "features": 6, "cost_weights": WEIGHTS}
    main(tmp_path / "table", runs=6, families=10, seeds=(1, 2), arms=(1,), effects=0.0, out=tmp_path / "out", **shapes)
    written = read_json(tmp_path / "out" / "null_families.json")
    assert [(one["seeds"], one["refused"]) for one in written["cells"]] == [(1, 10), (2, 0)]
    assert len(capsys.readouterr().out.splitlines()) >= 3


@pytest.mark.extended
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_real_policies_of_one_learner_are_not_told_apart(seeds, real_pool):
    """1,000 families of 1 and of 5 arms at three cost weights, queries redrawn."""
    for arms in (1, 5):
        one = cell(real_pool, seeds, arms, families=1000)
        low = stats.binomtest(round(1000 * one.false_claims), 1000).proportion_ci(0.99, method="exact").low
        assert low <= 0.05, one
        assert one.coverage >= 0.94, one


@pytest.mark.extended
def test_few_seeds_that_dominate_are_covered(real_pool):
    one = cell(real_pool, 3, 5, families=1000, effects=0.05)
    assert one.false_claims_ci[0] <= 0.05
    assert one.coverage >= 0.94


@pytest.fixture(scope="module")
def real_pool(tmp_path_factory) -> Pool:
    table = random_table(queries=360, models=3, horizon=2)
    return trained_pool(table, (0.01, 0.03, 0.1), 120, STATIC, 8, tmp_path_factory.mktemp("pool") / "runs")
