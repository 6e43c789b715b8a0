"""A synthetic compare.json with plausible numbers, so that its page is tested without a training."""

import json
from pathlib import Path
from typing import Any

import numpy as np

MODELS, TASKS = ("reader", "calculator", "speller"), ("expression-to-words", "fact-to-value", "number-to-words")
ARMS = ("plain", "potential", "quality gain", "damage", "log cost", "stage bonus")
WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0)
SMALL: dict[str, Any] = {"arms": ARMS[:3], "weights": WEIGHTS[:2], "seeds": 4}  # a comparison that is drawn quickly
CLAIMS = [
    "Better than plain after correction: potential (return at 0.01); no arm is worse than plain anywhere.",
    "Return of potential beside plain: better at cost weight 0.01 (+1.4 points [+0.6, +2.2]).",
    "Over the whole front, by hypervolume, damage against plain is undecided (+0.1 points [\u22120.4, +0.6]).",
]


def comparison(arms: tuple[str, ...] = ARMS, weights: tuple[float, ...] = WEIGHTS, seeds: int = 10) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    pool = [{"name": name, "price_in": 0.1, "price_out": 0.2, "parameters": 1000} for name in MODELS]
    return {
        "table": {"fingerprint": "4ab823bd01aefafc", "split": "test", "queries": 600, "horizon": 3, "pool": pool},
        "money_unit": "micro-credits",
        "cost_normaliser": 10.1,
        "cost_weights": list(weights),
        "seeds": list(range(seeds)),
        "reference": {"cost": 72.0, "accuracy": 0.0, "cost_range": [14.0, 60.0]},
        "arms": [_arm(name, index, weights, seeds, rng) for index, name in enumerate(arms)],
        "comparisons": [row for name in arms[1:] for row in _versus(name, arms[0], weights, rng)],
        "family": f"Declared before training: each of {len(arms) - 1} arms against {arms[0]}.",
        "claims": CLAIMS,
        "opponents": [
            {"name": "reader", "kind": "single", "accuracy": 0.172, "cost": 14.2},
            {"name": "speller", "kind": "single", "accuracy": 0.102, "cost": 11.2},
            {"name": "best-sequence", "kind": "sequence", "accuracy": 0.212, "cost": 54.0},
            {"name": "task-sequence+stop", "kind": "supervised", "accuracy": 0.723, "cost": 45.6},
            {"name": "random", "kind": "random", "accuracy": 0.086, "cost": 61.3},
            {"name": "oracle_stop", "kind": "oracle", "accuracy": 0.998, "cost": 39.9},
        ],
        "record": {"version": "0.2.0", "baseline": arms[0], "policies": len(arms) * len(weights) * seeds},
    }


def _arm(name: str, index: int, weights: tuple[float, ...], seeds: int, rng: np.random.Generator) -> dict[str, Any]:
    points = [_point(weight, index, seeds, rng) for weight in weights]
    return {
        "name": name,
        "learner": "exact+stop",
        "reward": {"quality": 1.0, "hop_cost": 0.0, name.replace(" ", "_"): 0.5},
        "cost_term": "hop_cost",
        "settings": {"learning_rate": 0.003, "static.num_updates": 40},
        "configurations_tried": 1,
        "points": points,
        "front": {
            "points": [
                {"cost": p["cost"]["mean"], "accuracy": p["accuracy"]["mean"], "cost_weight": p["cost_weight"]}
                for p in points
            ],
            "hypervolume": {"value": 0.44 + 0.002 * index, "ci": [0.435 + 0.002 * index, 0.446 + 0.002 * index]},
            "aiq": {"value": 0.9 + 0.003 * index, "ci": [0.894 + 0.003 * index, 0.907 + 0.003 * index]},
        },
    }


def _point(weight: float, index: int, seeds: int, rng: np.random.Generator) -> dict[str, Any]:
    accuracy = np.clip(0.975 - 0.12 * weight + 0.003 * index + rng.normal(0, 0.006, seeds), 0, 1)
    cost = 42 - 22 * weight**0.6 + 0.5 * index + rng.normal(0, 0.5, seeds)
    update = np.arange(1, 9) * 5
    rise = (accuracy.mean() - 0.4 * np.exp(-update / 7)).tolist()
    band = {"iqm": rise, "low": [value - 0.01 for value in rise], "high": [value + 0.01 for value in rise]}
    stop = float(np.clip(0.2 + 0.5 * weight**0.5, 0, 1))
    half = {"route": ["reader"], "stopped": True, "share": stop}
    rest = {"route": ["reader", "calculator", "speller"], "stopped": False, "share": 1 - stop}
    return {
        "cost_weight": weight,
        "accuracy": _measure(accuracy),
        "cost": _measure(cost),
        "return": _measure(accuracy - weight * cost / 101),
        "hops": 2.4 - weight,
        "repaired": 0.5,
        "damaged": 0.01,
        "chosen_seed": 0,
        "curve": {"update": update.tolist(), "validation_accuracy": band, "validation_return": band},
        "routes": {task: [half, rest] for task in TASKS},
        "stop_rate": {"all": stop, "per_task": dict.fromkeys(TASKS, stop), "per_stage": [stop, None]},
    }


def _measure(values: np.ndarray) -> dict[str, Any]:
    middle, spread = float(values.mean()), float(values.std() / len(values) ** 0.5) + 0.004
    interval = [middle - 2 * spread, middle + 2 * spread]
    return {"mean": middle, "mean_ci": interval, "iqm": middle, "iqm_ci": interval, "per_seed": values.tolist()}


def _versus(a: str, b: str, weights: tuple[float, ...], rng: np.random.Generator) -> list[dict[str, Any]]:
    measures = [("return", "primary", weight) for weight in weights]
    measures += [("hypervolume", "primary", None), ("aiq", "secondary", None)]
    measures += [("accuracy at matched cost", "secondary", weight) for weight in weights]
    rows = []
    for metric, family, weight in measures:
        difference = float(rng.normal(0.003, 0.01))
        low, high = difference - 0.01, difference + 0.01
        word = "better" if low > 0 else "worse" if high < 0 else "tied" if low > -0.01 else "undecided"
        rows.append(
            {"a": a, "b": b, "metric": metric, "family": family, "cost_weight": weight, "difference": difference}
            | {"ci": [low, high], "p_value": 0.01, "p_holm": 0.04 if word in ("better", "worse") else 1.0}
            | {"probability_of_improvement": {"value": 0.5 + 20 * difference, "ci": [0.3, 0.9]}, "verdict": word}
        )
    return rows


def build_compare_folder(folder: Path, **settings: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "compare.json").write_text(json.dumps(comparison(**settings), indent=1), encoding="utf-8")
    return folder
