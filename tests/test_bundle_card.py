"""The model card says what the bundle holds and what the evaluation measured, and nothing that is not there."""

from dataclasses import replace

import pytest
import yaml

from hierrouter_jax.bundle_card import CARD, model_card
from hierrouter_jax.outcomes.pricing import PricedModel
from tests.bundles import BUNDLES

EVALUATION = {
    "table": {"fingerprint": "table-1", "split": "test", "queries": 1_600},
    "money_unit": "flops",
    "policies": [
        {"name": "ppo", "accuracy": 0.9715, "accuracy_ci": [0.95, 0.98], "cost": 123.45, "hops": 2.125, "return": 0.9},
        {"name": "best-single", "accuracy": 0.17, "cost": 10.0, "hops": 1.0, "return": 0.165},
        {"name": "random", "accuracy": 0.1, "cost": 10.0, "hops": 1.0, "return": 0.05},
    ],
}


def test_the_card_of_an_evaluated_router():
    card = model_card(BUNDLES["conditioned"], EVALUATION)
    header = yaml.safe_load(card.split("---")[1])
    assert header == {"library_name": "hierrouter_jax", "tags": ["llm-routing"]}
    for sentence in (
        "# ppo: a router of 3 language models",
        "| trained on | the outcome table of fingerprint `table-1` |",
        '| encoder | `{"kind": "ngrams", "size": 48}` |',
        "| told | cost weight in 0.01 to 1, budget in 0.5 to 10 |",
        "| m1 | 0.2 | 0.4 |",
        "1,600 queries of the split `test`",
        "| ppo | 0.972 [0.95, 0.98] | 123.5 | 2.12 | 0.900 |",
        "| best-single | 0.170 | 10 | 1.00 | 0.165 |",
        "--cost_weight=X --budget=X",
    ):
        assert sentence in card
    assert "random" not in card


def test_a_router_without_its_own_row_has_no_evaluation():
    other = replace(BUNDLES["without-stop"], provenance={"learner": "exact"})
    for card in (model_card(BUNDLES["without-stop"]), model_card(other, EVALUATION)):
        assert "No evaluation of this router was at hand when it was exported." in card
        assert "| told |" not in card
        assert "chooses the next\nmodel.\n" in card


@pytest.mark.parametrize(
    ("kind", "learner", "name", "wrong"),
    [
        ("ensemble", "ppo", "ppo ensemble", "| 0.972"),  # the row of one seed
        ("plan", "random", "random", "| 0.100"),  # the row of an opponent of its name
    ],
)
def test_another_kind_than_a_network_has_the_row_of_the_chosen_policy_or_none(kind, learner, name, wrong):
    bundle = replace(BUNDLES[kind], provenance={"learner": learner})
    row = {"name": "chosen", "accuracy": 0.5, "cost": 20.0, "hops": 1.5, "return": 0.25}
    rows = [*EVALUATION["policies"], row]

    def card(chosen):
        return model_card(bundle, EVALUATION | {"policies": rows, "chosen": chosen})

    assert f"| {name} | 0.500 | 20 | 1.50 | 0.250 |\n| best-single |" in card({"policy": name, "kind": kind})
    assert card({"policy": name, "kind": kind}).split("\n# ")[1].startswith(f"{name}: a router")
    for other in (None, {"policy": name, "kind": "network"}, {"policy": "exact", "kind": kind}):
        assert "No evaluation of this router was at hand" in card(other)
        assert wrong not in card(other)


def test_a_name_with_a_bar_stays_in_its_cell_and_save_writes_the_card(tmp_path):
    bundle = BUNDLES["plain"]
    bundle = replace(bundle, pool=(PricedModel("a|b", 1.0, 2.0), *bundle.pool[1:]))
    bundle.save(tmp_path, EVALUATION)
    assert "| a\\|b | 1 | 2 |" in (tmp_path / CARD).read_text(encoding="utf-8")
