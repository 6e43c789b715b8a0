"""One conditioned router under many cost weights and budgets: the front, its budgets, and what is refused."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.policies.conditions import ConditionRanges, Range
from hierrouter_jax.studies.comparisons import declared_pairs
from hierrouter_jax.studies.evaluate import behaviour, condition_grid, evaluate, front
from hierrouter_jax.studies.worth import worth
from hierrouter_jax.training.checks import check_trainable, smallest_budgets
from hierrouter_jax.training.router import router_cost
from tests.conditioned import priced_table, random_router, with_limit
from tests.tables import replicated

BOTH = {"cost_conditioned": True, "budgeted": True}


@pytest.fixture(scope="module")
def table():
    return priced_table(queries=90, tasks=3)


def row(evaluation: dict, name: str) -> dict:
    return next(policy for policy in evaluation["policies"] if policy["name"] == name)


@pytest.mark.parametrize("static", [{"cost_conditioned": True}, {"budgeted": True}, BOTH], ids=str)
def test_the_front_is_the_router_told_each_point(table, static):
    router = random_router(table, **static)
    call, part = router.features.cost_normaliser, table.split("test")
    points = front(router, part)["front"]
    weights = sorted({point["cost_weight"] for point in points})
    budgets = sorted({point["budget"] for point in points if point["budget"] is not None})
    if "cost_conditioned" in static:
        assert (len(weights), weights[0], weights[-1]) == (8, pytest.approx(0.001), pytest.approx(0.3))
        np.testing.assert_allclose(np.diff(np.log(weights)), np.log(300) / 7)
    else:
        assert weights == [0.02]
    if "budgeted" in static:
        assert (len(budgets), budgets[-1]) == (6, pytest.approx(8 * call))
        assert budgets[0] == max(0.5 * call, smallest_budgets(part).max())
    else:
        assert budgets == []
    assert len(points) == len(weights) * max(1, len(budgets)) == len(condition_grid(router, part))
    for point in points[:: len(points) // 4]:
        weight = point["cost_weight"] if "cost_conditioned" in static else None
        outcome = policy_outcome(part, router.end_probability(part, 0, weight, point["budget"]))
        outcome = replace(outcome, cost=outcome.cost + router_cost(router, outcome, part))
        assert point["accuracy"] == pytest.approx(outcome.quality.mean())
        assert point["cost"] == pytest.approx(outcome.cost.mean())
        assert point["return"] == pytest.approx(outcome.returns(point["cost_weight"], call).mean())
    assert len({(point["accuracy"], point["cost"]) for point in points}) > 2


def test_no_query_passes_its_budget_on_the_table(table):
    """Also at the smallest that answers every query, where the cheapest first call is all that some can pay."""
    router = random_router(table, **BOTH)
    spent = accumulate_cost(table.cost, table.tree)
    smallest = smallest_budgets(table).max()
    for weight in (0.001, 0.3):
        for budget in smallest * np.array([1.0, 1.2, 2.0, 5.0]):
            ends = router.end_probability(table, 0, weight, budget).argmax(axis=1)
            assert (ends > 0).all()
            assert (spent[np.arange(90), ends] <= budget * (1 + 1e-5)).all()


@pytest.mark.parametrize("static", [{"cost_conditioned": True}, {"budgeted": True}, BOTH], ids=str)
def test_the_bundle_walks_the_table_as_the_router_does(table, static):
    router = random_router(table, **static)
    bundle, spent, queries = router.bundle(table), accumulate_cost(table.cost, table.tree), np.arange(90)
    smallest = smallest_budgets(table).max()
    for weight, budget in [(None, None), (0.001, smallest), (0.3, 2.5 * smallest), (0.05, 6 * smallest)]:
        weight = weight if "cost_conditioned" in static else None
        budget = budget if "budgeted" in static else None
        node, going = np.zeros(90, int), np.ones(90, bool)
        for stage in range(table.tree.horizon):
            rows = queries[going]
            children = table.tree.child(node[rows][:, None], np.arange(table.tree.num_models))
            charges = table.charge[rows[:, None], children]
            embedding, cost = table.context_embedding[rows, node[rows]], spent[rows, node[rows]]
            action = bundle.act(embedding, stage, cost, weight, budget, charges)[0]
            going[rows] = action < table.tree.num_models
            node[rows] = np.where(going[rows], table.tree.child(node[rows], action), node[rows])
        np.testing.assert_array_equal(node, router.end_probability(table, 0, weight, budget).argmax(axis=1))


def test_the_evaluation_holds_the_front_and_the_row_the_runs_own_weight(table):
    routers = {"exact": random_router(table, **BOTH), "exact+stop": random_router(table, allow_stop=True)}
    router = routers["exact"]
    evaluation = evaluate(table, routers, router.features, 0.02, "test")
    learned, part = row(evaluation, "exact"), table.split("test")
    assert learned["front"] == json.loads(json.dumps(front(router, part)["front"]))
    assert "front" not in row(evaluation, "exact+stop")
    outcome = policy_outcome(part, router.end_probability(part, 0, 0.02, 1e9))
    assert learned["accuracy"] == pytest.approx(outcome.quality.mean())
    best = evaluation["ceiling"]["oracle_stop"]["accuracy"]  # under a budget it may stop, whatever it is named
    gap = best - row(evaluation, "best-single")["accuracy"]
    assert learned["oracle_gap_recovered"] == pytest.approx(
        (learned["accuracy"] - row(evaluation, "best-single")["accuracy"]) / gap
    )


def test_deciding_to_stop_is_charged_to_a_budgeted_router(table):
    """Every route of one call takes two decisions."""
    router = random_router(table, budgeted=True)
    ends = np.zeros((90, table.tree.num_nodes))
    ends[:, 1] = 1.0
    outcome = policy_outcome(table, ends)
    rate = np.mean([member.price_in / member.parameters for member in table.pool])
    np.testing.assert_allclose(router_cost(router, outcome, table), 2 * router.bundle(table).multiply_adds * rate)


def test_the_encoder_is_charged_at_every_decision_as_the_bundle_says(table):
    """A route of one call and STOP embeds the query and the first answer; two networks share the embeddings."""
    router = random_router(table, budgeted=True)
    known = replace(table, settings={"encoder": {"multiply_adds": [1e6, 3e6, 5e6]}})
    ends = np.zeros((90, table.tree.num_nodes))
    ends[:, 1] = 1.0
    outcome = policy_outcome(table, ends)
    rate = np.mean([member.price_in / member.parameters for member in table.pool])
    bundle = router.bundle(known)
    assert bundle.encoder_multiply_adds == (1e6, 3e6, 5e6)
    expected = (2 * bundle.multiply_adds + sum(bundle.encoder_multiply_adds[:2])) * rate
    np.testing.assert_allclose(router_cost(router, outcome, known), expected)
    np.testing.assert_allclose(router_cost(router, outcome, known, networks=2), (4 * bundle.multiply_adds + 4e6) * rate)
    said = "the table does not say what its encoder computes: costs of deciding leave that out"
    for whole, notes in ((table, [said]), (known, [])):
        evaluation = evaluate(whole, {"exact": router}, router.features, 0.02, "test")
        assert [note for note in evaluation["table"]["notes"] if "encoder" in note] == notes
        assert evaluation["table"]["near_copies"] == {"queries": 30, "train": 0, "validation": 0, "either": 0}


def test_what_a_router_was_not_trained_for_is_refused(table):
    plain, budgeted = random_router(table), random_router(table, budgeted=True)
    with pytest.raises(InputError, match="a budget is given, but exact was not trained to be told one"):
        plain.end_probability(table, 0, budget=3.0)
    with pytest.raises(InputError, match="a cost weight is given, but exact was not trained to be told one"):
        budgeted.end_probability(table, 0, cost_weight=0.1)
    needs = smallest_budgets(table)
    neediest = table.queries[int(needs.argmax())].id
    with pytest.raises(
        InputError, match=f"no first call of query '{neediest}'; the smallest that does is {needs.max()} p"
    ):
        budgeted.end_probability(table, 0, budget=0.9 * needs.max())


def test_tables_without_charges_are_refused(table):
    static, ranges = LearnerStatic(budgeted=True), ConditionRanges()
    check_trainable(table, static, ranges)
    unknown = replace(table, pool=(table.pool[0], replace(table.pool[1], max_new_tokens=None), table.pool[2]))
    with pytest.raises(InputError, match="model 'm1' has no max_new_tokens"):
        check_trainable(unknown, static, ranges)
    check_trainable(unknown, LearnerStatic(cost_conditioned=True), ranges)
    with pytest.raises(InputError, match="model 'm1' has no max_new_tokens"):
        random_router(table, budgeted=True).end_probability(unknown, 0)
    with pytest.raises(InputError, match=r"wrote \d+ tokens on query 'q\d+', but its max_new_tokens is 20"):
        check_trainable(with_limit(table, 20), static, ranges)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.3, 0.3), (2.0, 1.0), (0.1, float("inf"))])
def test_ranges_that_cannot_be_drawn_from_are_refused(table, bounds):
    """Numbers of the host at once, and those on the device, which may be traced, before training."""
    with pytest.raises(InputError, match=r"(low|high) "):
        Range(*bounds)
    ranges = ConditionRanges(cost_weight=Range(*map(jnp.float32, bounds)))
    with pytest.raises(InputError, match=r"hyper\.ranges\.cost_weight is .*, but must rise from a number above 0"):
        check_trainable(table, LearnerStatic(cost_conditioned=True), ranges)
    check_trainable(table, LearnerStatic(budgeted=True), ranges)


def test_every_learner_is_compared_with_opponents_of_its_own_moves_and_with_its_twin():
    fixed, stops = ("best-sequence", "task-sequence", "best-single"), ("best-sequence+stop", "task-sequence+stop")
    assert declared_pairs(["exact"]) == [("exact", name) for name in fixed]
    assert declared_pairs(["my.py:mine+stop"]) == [("my.py:mine+stop", name) for name in (*stops, "my.py:mine")]
    assert declared_pairs(["ppo", "ppo+stop"]) == [
        *(("ppo", name) for name in fixed),
        *(("ppo+stop", name) for name in (*stops, "ppo")),
    ]


def test_a_learner_of_any_name_has_its_comparisons(table):
    router = random_router(table)
    rows = evaluate(table, {"all-actions": router}, router.features, 0.02, "test")["comparisons"]
    assert [(row["policy"], row["opponent"]) for row in rows] == declared_pairs(["all-actions"])
    assert all(row["p_holm"] >= row["p_value"] for row in rows)
    both = evaluate(table, {"exact": router, "exact+stop": router}, router.features, 0.02, "test")["comparisons"]
    assert (both[-1]["policy"], both[-1]["opponent"], both[-1]["difference"]) == ("exact+stop", "exact", 0.0)
    assert len(both) == 6


def test_a_learner_of_several_seeds_is_compared_over_them_too(table):
    """The comparison itself is of the exported policy; `over_seeds` crosses all seeds with the queries."""
    routers = [random_router(table, seed) for seed in range(3)]
    state = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(router.state for router in routers))
    several = replace(routers[0], state=state)
    part = table.split("test")
    evaluation = evaluate(table, {"exact": several}, several.features, 0.02, "test")
    best = next(one for one in evaluation["comparisons"] if one["opponent"] == "best-single")
    over = best["over_seeds"]
    quality = np.stack([policy_outcome(part, one.end_probability(part, 0)).quality for one in routers])
    single = row(evaluation, "best-single")["accuracy"]
    assert best["difference"] == pytest.approx(quality[several.chosen_seed].mean() - single)
    assert (over["seeds"], over["difference"]) == (3, pytest.approx(quality.mean() - single))
    assert over["ci"][1] - over["ci"][0] > best["ci"][1] - best["ci"][0]
    alone = evaluate(table, {"exact": routers[0]}, several.features, 0.02, "test")["comparisons"]
    assert [one["over_seeds"] for one in alone] == [None] * 3


def test_the_return_of_a_seed_is_that_of_the_row(table):
    """The row is the chosen seed's: its return counts what deciding costs, and so does the seed's."""
    router = random_router(table)
    learned = row(evaluate(table, {"ppo": router}, router.features, 0.5, "test"), "ppo")
    assert learned["router_cost"] > 0
    assert learned["seeds"]["return"][learned["seeds"]["chosen_seed"]] == pytest.approx(learned["return"], abs=1e-12)


def test_behaviour_is_the_share_of_each_route_by_task(table):
    router = random_router(table, allow_stop=True)
    part = table.split("test")
    ends = router.end_probability(part, router.chosen_seed).argmax(axis=1)
    shares = behaviour(table, {"exact+stop": router}, "test")["policies"]["exact+stop"]["routes"]
    assert list(shares) == list(dict.fromkeys(query.task for query in part.queries))
    for task, routes in shares.items():
        mine = ends[[query.task == task for query in part.queries]]
        expected = {tuple(part.model_names[m] for m in part.tree.route(int(node))) for node in mine}
        assert {tuple(row["route"]) for row in routes} == expected
        assert routes[0]["share"] == max((mine == node).mean() for node in mine)
        assert sum(row["share"] for row in routes) == pytest.approx(1.0)


def test_equal_replicates_are_no_further_evidence(table):
    """Every test query three times with the same outcomes: all numbers and intervals are those of one time."""
    router = random_router(table)
    both = (table, replicated(table, 3))
    once, thrice = (evaluate(one, {"exact": router}, router.features, 0.02, "test") for one in both)
    assert once["table"]["replicates"] is None
    report = thrice["table"].pop("replicates")
    assert (report["questions"], report["rows"], report["most"]) == (30, 90, 3)
    assert report["variance_within"] == {"m0": 0.0, "m1": 0.0, "m2": 0.0}
    assert any("each of 30 questions was asked 3 times" in note for note in thrice["table"]["notes"])
    assert thrice["ceiling"].pop("same_replicate")["oracle_stop"] == pytest.approx(once["ceiling"]["oracle_stop"])
    assert all(policy.pop("variance_within") == pytest.approx(0.0, abs=1e-12) for policy in thrice["policies"])
    for policies in zip(once["policies"], thrice["policies"], strict=True):
        one, three = ({key: value for key, value in policy.items() if not key.endswith("_ci")} for policy in policies)
        assert numbers(three) == pytest.approx(numbers(one))
        for name in ("accuracy_ci", "cost_ci"):  # a bootstrap's bounds move with the last bit of a mean
            assert policies[1][name] == pytest.approx(policies[0][name], abs=0.01, rel=0.01)
    for one, three in zip(once["comparisons"], thrice["comparisons"], strict=True):
        assert three["ci"] == pytest.approx(one["ci"], abs=0.01)
        assert three["p_value"] == pytest.approx(one["p_value"], abs=0.01)
    assert numbers(thrice["ceiling"]) == pytest.approx(numbers(once["ceiling"]))


def test_a_pool_that_costs_nothing_has_no_relative_costs(table):
    free = replace(table, pool=tuple(replace(member, price_in=0.0, price_out=0.0) for member in table.pool))
    router = random_router(free)
    evaluation = evaluate(free, {"exact": router}, router.features, 0.02, "test")
    assert [one["relative_cost"] for one in evaluation["comparisons"]] == [None] * 3
    assert json.loads(json.dumps(evaluation, allow_nan=False))["comparisons"] == evaluation["comparisons"]


def test_the_chosen_second_hop_is_not_chosen_on_partial_trees(table):
    """m2 after m0 is better than after m2; partial training trees hold the latter alone, and only where it is right."""
    firsts, train = [table.tree.node((model, 2)) for model in (0, 2)], np.arange(90) % 3 == 0
    quality, available = table.quality.copy(), table.available.copy()
    quality[:, firsts] = np.stack([np.full(90, 0.75), np.arange(90) % 2], axis=1)
    partial = train & (np.arange(90) >= 18)
    available[partial, table.tree.stage_start(2) :] = False
    available[partial, firsts[1]] = quality[partial, firsts[1]] == 1
    settings = {"prompt": {"members": {"m1": {"fresh": "m2"}}}, "partial": {"training_hops": 1, "of_hops": 2}}
    part = replace(table, quality=np.where(available, quality, 0), available=available, settings=settings)
    router = random_router(table)
    for hops in (evaluate(part, {"exact": router}, router.features, 0.02, "test"), worth(part)):
        assert [(one["first"], one["chosen"]) for one in hops["second_hop"]] == [("m0", True), ("m2", False)]


def numbers(part) -> list:
    """All numbers of plain data, in order; intervals over seeds, which is one here, included."""
    if isinstance(part, dict | list):
        return [number for value in (part.values() if isinstance(part, dict) else part) for number in numbers(value)]
    return [part] if isinstance(part, int | float) else []
