"""Claims follow the numbers, and the declared family says how many hypotheses there are."""

from hierrouter_jax.studies.compare.claims import claims, family


def row(a: str, metric: str, cost_weight: float | None, verdict: str, difference: float = 0.02) -> dict:
    return {
        "a": a,
        "b": "base",
        "metric": metric,
        "family": "secondary" if metric == "aiq" else "primary",
        "cost_weight": cost_weight,
        "difference": difference,
        "ci": [difference - 0.01, difference + 0.01],
        "p_holm": 0.004,
        "verdict": verdict,
    }


def test_claims_point_where_the_numbers_do():
    rows = [
        row("x", "return", 0.1, "better"),
        row("x", "return", 0.3, "undecided", -0.005),
        row("x", "hypervolume", None, "worse", -0.03),
        row("x", "aiq", None, "better"),
        row("y", "return", 0.1, "tied", 0.0),
        row("y", "return", 0.3, "tied", 0.0) | {"ci": [0.0, 0.0]},
        row("y", "hypervolume", None, "undecided", 0.0),
        row("y", "aiq", None, "undecided", 0.0),
    ]
    assert claims(["base", "x", "y"], rows, 3) == [
        "Better than base after correction: x (return at 0.1); worse than base after correction: x (hypervolume).",
        "Return of x beside base: better at cost weight 0.1 (+2.0 points [+1.0, +3.0]); "
        "undecided at cost weight 0.3 (-0.5 points [-1.5, +0.5]).",
        "Over the whole front, by hypervolume, x is worse than base (-3.0 points [-4.0, -2.0], Holm p = 0.004).",
        "Return of y beside base: tied at cost weight 0.1 (+0.0 points [-1.0, +1.0]), 0.3 (the same).",
        "Over the whole front, by hypervolume, y against base is undecided (+0.0 points [-1.0, +1.0], Holm p = 0.004).",
        "For orientation, AIQ beside base (second family): better: x; undecided: y.",
    ]
    nothing = claims(["base", "y"], [one for one in rows if one["a"] == "y"], 3)
    assert nothing[0] == (
        "No arm is better than base anywhere after correction; no arm is worse than base anywhere after correction."
    )


def test_too_few_seeds_are_said():
    rows = [row("x", "return", 0.1, "undecided"), row("x", "hypervolume", None, "undecided")]
    assert claims(["base", "x"], rows, 1)[1].startswith("One seed allows no claim about an arm")
    assert claims(["base", "x"], rows, 2)[1].startswith("With 2 seeds only very large differences can be seen")
    assert not any("seed" in sentence for sentence in claims(["base", "x"], rows, 3))


def test_the_family_counts_its_hypotheses():
    """Two arms beside the baseline at three cost weights: (3 returns and a hypervolume) each."""
    words = family(["base", "x", "y"], 3)
    assert "each of 2 arms against base" in words
    assert "at each of 3 cost weights and on hypervolume, 8 hypotheses" in words
