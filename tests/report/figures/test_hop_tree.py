"""The picture of a hop tree, and its short texts."""

from hierrouter_jax.outcomes.ties import tie_order
from hierrouter_jax.report.data.hop_tree import greedy_ends, query_tree
from hierrouter_jax.report.figures.hop_tree import short_probability, shortened, tree_section
from tests.report.page_reader import Page
from tests.report.policies import random_policy
from tests.tables import random_table


def test_a_picture_of_a_hop_tree_says_everything_in_full():
    table = random_table(3, queries=2, horizon=2)
    table.response[1, 1] = "a response <much> longer than there is room for in the picture"
    probabilities = random_policy(0, table)
    end = int(greedy_ends(probabilities, table.tree, tie_order(table))[1])
    picture = tree_section(query_tree("ppo", table, 1, probabilities[1], end), list(table.model_names))
    assert "<title>m0: a response &lt;much&gt; longer than there is room for in the picture" in picture.context["svg"]
    assert picture.files.keys() == {f"hop_tree{end}" for end in (".png", ".svg", ".dark.png", ".dark.svg")}


def test_a_response_with_dollar_signs_is_no_formula():
    table = random_table(3, queries=2, horizon=2)
    table.response[1, 1] = r"$\boxed{5}$"
    probabilities = random_policy(0, table)
    end = int(greedy_ends(probabilities, table.tree, tie_order(table))[1])
    picture = tree_section(query_tree("ppo", table, 1, probabilities[1], end), list(table.model_names))
    assert r">$\boxed{5}$ " in picture.context["svg"]


def test_short_texts():
    assert [short_probability(value) for value in (1.0, 0.999, 0.25, 0.001)] == ["1", ">.99", ".25", "<.01"]
    assert shortened("one\n two three", 8) == "one two\u2026"
    assert Page("<p>one</p>").text == "one"
