"""A synthetic run folder with plausible numbers, so that the report is tested without a training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TASKS = {
    "expression-to-value": 90,
    "word-problem-to-expression": 60,
    "number-to-words": 60,
    "word-problem-to-value": 90,
    "expression-to-words": 90,
    "word-problem-to-words": 60,
    "fact-to-value": 75,
    "fact-to-words": 75,
}
MODELS = ("reader", "calculator", "speller")
LEARNERS = ("ppo", "ppo+stop")
# name, kind, accuracy, cost, hops, repaired, damaged
_POLICIES = (
    ("ppo", "learned", 0.9517, 31.20, 3.0, 0.605, 0.008),
    ("ppo+stop", "learned", 0.9583, 22.61, 2.08, 0.561, 0.003),
    ("best-single", "single", 0.2517, 9.10, 1.0, 0.0, 0.0),
    ("best-single-per-task", "single", 0.4433, 9.96, 1.0, 0.0, 0.0),
    ("best-sequence", "sequence", 0.3617, 31.92, 3.0, 0.242, 0.031),
    ("best-sequence+stop", "sequence", 0.3617, 31.92, 3.0, 0.242, 0.031),
    ("task-sequence", "supervised", 0.6633, 31.45, 3.0, 0.412, 0.055),
    ("task-sequence+stop", "supervised", 0.7150, 23.30, 2.11, 0.388, 0.012),
    ("random", "random", 0.2214, 32.40, 3.0, 0.118, 0.096),
    ("random+stop", "random", 0.2108, 22.15, 2.02, 0.081, 0.070),
    ("reader", "single", 0.2517, 9.10, 1.0, 0.0, 0.0),
    ("reader x3", "single", 0.2517, 30.05, 3.0, 0.0, 0.0),
    ("calculator", "single", 0.1033, 11.25, 1.0, 0.0, 0.0),
    ("calculator x3", "single", 0.0933, 35.80, 3.0, 0.048, 0.058),
    ("speller", "single", 0.0983, 10.02, 1.0, 0.0, 0.0),
    ("speller x3", "single", 0.0983, 33.40, 3.0, 0.0, 0.0),
    ("oracle_fixed", "oracle", 0.9733, 30.90, 3.0, 0.631, 0.0),
    ("oracle_stop", "oracle", 0.9917, 21.70, 2.03, 0.588, 0.0),
)
_ROUTES = {
    "expression-to-value": ("calculator reader", "calculator calculator reader"),
    "word-problem-to-expression": ("reader",),
    "number-to-words": ("speller",),
    "word-problem-to-value": ("reader calculator", "reader calculator calculator"),
    "expression-to-words": ("calculator speller", "calculator calculator speller"),
    "word-problem-to-words": ("reader calculator speller",),
    "fact-to-value": ("reader", "reader calculator", "reader calculator calculator"),
    "fact-to-words": ("reader speller", "reader calculator speller"),
}
SHAPE = np.random.default_rng(7).uniform(-0.35, 0.35, (len(_POLICIES), len(TASKS)))


def build_run_folder(run: Path, *, live: bool = True, seeds: int = 8) -> Path:
    """Write every file that a report reads into `run` and return it."""
    run.mkdir(parents=True, exist_ok=True)
    _write(run / "evaluation.json", evaluation(seeds))
    _write(run / "behaviour.json", behaviour())
    _write(run / "run.json", record())
    if live:
        _write(run / "live.json", transcripts())
    metrics(seeds).to_parquet(run / "metrics.parquet")
    return run


def evaluation(seeds: int = 8) -> dict[str, Any]:
    return {
        "table": {
            "fingerprint": "9f2c41d07be35a68",
            "split": "test",
            "queries": 600,
            "horizon": 3,
            "pool": [
                {"name": name, "parameters": parameters, "price_in": price, "price_out": 2 * price}
                for name, parameters, price in zip(MODELS, (371_904, 412_160, 371_904), (0.37, 0.41, 0.37), strict=True)
            ],
        },
        "task_names": list(TASKS),
        "money_unit": "micro-credits",
        "cost_normaliser": 10.12,
        "ceiling": {
            "oracle_fixed": {"accuracy": 0.9733, "cost": 30.90},
            "oracle_stop": {"accuracy": 0.9917, "cost": 21.70},
            "oracle_return": {"return": 0.9051, "accuracy": 0.9900, "cost": 19.80},
            "co_failure": {"value": 0.5467, "ci": [0.5067, 0.5867]},
        },
        "policies": [_policy(row, index, seeds) for index, row in enumerate(_POLICIES)],
        "comparisons": [
            _comparison("ppo", "task-sequence", 0.2884, 0.2483, 0.3300),
            _comparison("ppo", "best-sequence", 0.5900, 0.5483, 0.6300),
            _comparison("ppo", "best-single", 0.7000, 0.6617, 0.7367),
            _comparison("ppo+stop", "task-sequence+stop", 0.2433, 0.2050, 0.2817),
            _comparison("ppo+stop", "best-sequence+stop", 0.5966, 0.5567, 0.6367),
            _comparison("ppo+stop", "ppo", 0.0066, -0.0067, 0.0200, 0.41),
        ],
        "live": {"policy": "ppo+stop", "queries": 600, "routes_equal": 600, "responses_equal": 600},
    }


def _policy(row: tuple, index: int, seeds: int) -> dict[str, Any]:
    name, kind, accuracy, cost, hops, repaired, damaged = row
    half = 1.96 * (accuracy * (1 - accuracy) / 600) ** 0.5
    spread = min(accuracy, 1 - accuracy) / 0.5
    oracle = 0.9917 if "stop" in name or hops < 3 else 0.9733
    policy = {
        "name": name,
        "kind": kind,
        "accuracy": accuracy,
        "accuracy_ci": [round(accuracy - half, 4), round(min(1.0, accuracy + half), 4)],
        "cost": cost,
        "cost_ci": [round(cost * 0.985, 3), round(cost * 1.015, 3)],
        "hops": hops,
        "return": round(accuracy - 0.03 * cost / 10.12, 4),
        "oracle_gap_recovered": round((accuracy - 0.2517) / (oracle - 0.2517), 4),
        "repaired": repaired,
        "damaged": damaged,
        "per_task": {
            task: {
                "accuracy": round(float(np.clip(accuracy + spread * SHAPE[index, column], 0, 1)), 4),
                "cost": round(cost * (0.8 + 0.05 * column), 2),
                "queries": queries,
            }
            for column, (task, queries) in enumerate(TASKS.items())
        },
        "seen_templates": {"accuracy": round(min(1.0, accuracy + 0.006), 4), "queries": 480},
        "unseen_templates": {"accuracy": round(accuracy - 0.024, 4), "queries": 120},
    }
    if kind == "learned":
        rng = np.random.default_rng(index)
        over_seeds = np.round(np.clip(rng.normal(accuracy - 0.008, 0.008, seeds), 0, 1), 4)
        policy["seeds"] = {
            "accuracy": over_seeds.tolist(),
            "return": np.round(over_seeds - 0.07, 4).tolist(),
            "chosen_seed": min(5, seeds - 1),
            "accuracy_iqm": round(float(np.median(over_seeds)), 4),
            "accuracy_iqm_ci": [round(float(end), 4) for end in np.quantile(over_seeds, [0.2, 0.8])],
        }
    return policy


def _comparison(policy: str, opponent: str, difference: float, low: float, high: float, p: float = 0.0001) -> dict:
    return {
        "policy": policy,
        "opponent": opponent,
        "metric": "accuracy",
        "difference": difference,
        "ci": [low, high],
        "p_value": p,
        "p_holm": min(1.0, 3 * p),
        "relative_cost": 0.97,
    }


def metrics(seeds: int = 8, updates: int = 120) -> pd.DataFrame:
    rows = []
    for offset, learner in enumerate(LEARNERS):
        for seed in range(seeds):
            rng = np.random.default_rng(100 * offset + seed)
            rise = 18 + 6 * rng.random()
            top = 0.952 - 0.01 * rng.random()
            for update in range(1, updates + 1):
                progress = 1 / (1 + np.exp(-(update - 1.4 * rise) / (0.45 * rise)))
                accuracy = 0.22 + (top - 0.22) * progress + rng.normal(0, 0.007)
                evaluated = update % 4 == 0 or update == 1
                rows.append(
                    {
                        "learner": learner,
                        "seed": seed,
                        "update": update,
                        "env_steps": update * 6144,
                        "train_return": accuracy - 0.10 + rng.normal(0, 0.01),
                        "entropy": 1.09 * (1 - 0.93 * progress) + rng.normal(0, 0.01),
                        "policy_loss": -0.01 * (1 - progress) + rng.normal(0, 0.002),
                        "value_loss": 0.11 * (1 - 0.8 * progress) + abs(rng.normal(0, 0.004)),
                        "approx_kl": 0.011 * (1 - 0.7 * progress) + abs(rng.normal(0, 0.001)),
                        "clip_fraction": 0.14 * (1 - 0.8 * progress) + abs(rng.normal(0, 0.008)),
                        "validation_return": accuracy - 0.08 if evaluated else np.nan,
                        "validation_accuracy": accuracy if evaluated else np.nan,
                    }
                )
    return pd.DataFrame(rows)


def behaviour() -> dict[str, Any]:
    policies = {}
    for learner in LEARNERS:
        stop = learner.endswith("+stop")
        policies[learner] = {"routes": {task: _task_routes(routes, stop) for task, routes in _ROUTES.items()}}
    return {"policies": policies}


def _task_routes(routes: tuple[str, ...], stop: bool) -> list[dict]:
    """The wished routes share 96 %, two mistakes the rest; without STOP short routes are padded by `reader`."""
    wished = [route.split() for route in routes]
    if not stop:
        wished = [(route + ["reader"] * 3)[:3] for route in wished]
    weights = np.linspace(1.4, 0.8, len(wished))
    shares = [*(0.96 * weights / weights.sum()), 0.025, 0.015]
    mistakes = [["reader", "speller", "reader"], ["speller", "speller", "speller"]]
    return [
        {"route": route, "stopped": stop and len(route) < 3, "share": round(float(share), 6)}
        for route, share in zip(wished + mistakes, shares, strict=True)
    ]


# router, query id, task, query, gold, stopped, (model, response, probability) of each hop
_TRANSCRIPTS = (
    ("ppo+stop", "test-0003", "expression-to-value", "Work out 12+7-5 and give the number.", "14", True,
     (("calculator", "19-5", 0.98), ("calculator", "14", 0.96))),
    ("ppo+stop", "test-0117", "word-problem-to-words",
     "Mia has 24 shells and finds 18 more, then loses 6. How many are left? In words, please.", "thirty-six", False,
     (("reader", "24+18-6", 0.97), ("calculator", "42-6", 0.99), ("speller", "six", 0.58))),
    ("ppo+stop", "test-0250", "number-to-words", "Spell out the number 308 <in words> & nothing else.",
     "three hundred and eight", True, (("speller", "three hundred and eight", 0.999),)),
    ("ppo+stop", "test-0431", "fact-to-words", "What is the code of B2X? Write it in words.", "fifty-one", False,
     (("reader", "34+17", 0.99), ("calculator", "51", 0.93), ("speller", "fifty-one", 0.98))),
    ("ppo", "test-0003", "expression-to-value", "Work out 12+7-5 and give the number.", "14", False,
     (("calculator", "19-5", 0.98), ("calculator", "14", 0.97), ("reader", "14", 0.995))),
    ("ppo", "test-0412", "fact-to-value", "What is the code of K7Q? Answer with the value.", "37", False,
     (("reader", "37", 0.99), ("speller", "thirty-seven", 0.44), ("reader", "thirty-seven", 0.71))),
)  # fmt: skip


def transcripts() -> dict[str, Any]:
    routers = dict.fromkeys(router for router, *_ in _TRANSCRIPTS)
    return {
        "transcripts": {name: [_transcript(*row[1:]) for row in _TRANSCRIPTS if row[0] == name] for name in routers}
    }


def _transcript(query_id: str, task: str, query: str, gold: str, stopped: bool, hops: tuple) -> dict[str, Any]:
    rows, tokens = [], len(query)
    for model, response, probability in hops:
        cost = round(0.37 * tokens / 10 + 0.74 * len(response) / 10, 3)
        rows.append(
            {
                "model": model,
                "response": response,
                "tokens_in": tokens,
                "tokens_out": len(response) + 1,
                "cost": cost,
                "probability": probability,
            }
        )
        tokens += len(response) + 1
    answer = rows[-1]["response"]
    return {
        "query_id": query_id,
        "query": query,
        "task": task,
        "gold": gold,
        "stopped": stopped,
        "answer": answer,
        "cost": round(sum(row["cost"] for row in rows), 3),
        "quality": float(answer == gold),
        "hops": rows,
    }


def record() -> dict[str, Any]:
    return {
        "command": "hierrouter quickstart --out runs/quickstart",
        "version": "0.1.0",
        "seed": 0,
        "seconds": {
            "queries": 1.2,
            "collect": 118.4,
            "embed": 9.7,
            "train ppo": 21.3,
            "train ppo+stop": 22.9,
            "evaluate": 3.8,
            "export": 0.4,
            "route live": 41.6,
        },
        "peak_rss_bytes": 1_912_602_624,
        "machine": {"cpu": "Intel(R) Xeon(R) CPU @ 2.60GHz", "cores": 2, "device": "cpu"},
    }


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")
