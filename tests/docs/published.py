"""Made-up outcomes in the layouts that `hierrouter import` reads, large enough to be split three ways."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from hierrouter_jax.config import config_path

COUNT = 40
WORDS = ("amber", "birch", "coral", "delta", "ember", "fjord", "grove", "heron", "islet", "jetty", "knoll", "lagoon")
PRICES = (
    "money_unit: US dollars\nmodels:\n  small: {base_rate: 1.0e-6}\n  large: {price_in: 1.0e-6, price_out: 2.0e-6}\n"
)


def question(number: int) -> str:
    """Texts that share few pieces, so that none is another's duplicate."""
    first, second = WORDS[number % 12], WORDS[(number // 12 + number) % 12]
    return f"{first * 2} {number * 37} {second}: {number}{first}?"


def right(number: int, model: int) -> bool:
    return (number * (model + 2)) % 3 == 0


def score(number: int, model: int) -> float:
    return float(right(number, model))


def kind(number: int) -> str:
    return f"kind{number % 2}"


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def make(folder: Path) -> None:
    """Every source of the page on importing, under the path that the page names."""
    (folder / "prices.yaml").write_text(PRICES)
    rows = [
        {
            "query": question(n),
            "task": f"kind{n % 2}",
            "model": model,
            "score": score(n, place),
            "response": "so",
        }
        for n in range(COUNT)
        for place, model in enumerate(("small", "large"))
    ]
    pd.DataFrame(rows).to_csv(folder / "outcomes.csv", index=False)
    renamed = pd.DataFrame(rows).rename(columns={"query": "prompt", "score": "correct"})
    renamed.to_parquet(folder / "outcomes.parquet")
    opencompass(folder / "lookahead/test")
    llmrouter(folder / "llmrouter/data")
    routellm(folder / "routellm/evals")
    routerbench(folder / "routerbench_0shot.parquet")
    llmrouterbench(folder / "results/bench")


def opencompass(folder: Path) -> None:
    models = yaml.safe_load(config_path("prices/lookahead.yaml").read_text())["models"]
    for place, model in enumerate(models):
        for task in range(2):
            details = {
                str(n): {"prompt": question(n), "origin_prediction": "so", "correct": right(n, place)}
                for n in range(task, COUNT, 2)
            }
            write(folder / f"kind{task}/{model}.json", {"details": details})


def llmrouter(folder: Path) -> None:
    for split, numbers in (("train", range(COUNT - 10)), ("test", range(COUNT - 10, COUNT))):
        rows = [{"question": question(n), "scores": {"a": score(n, 0), "b": score(n, 1)}} for n in numbers]
        write(folder / f"dcrouter_preprocessed/{split}.json", rows)
        texts = [
            {"task_name": f"kind{n % 2}", "query": question(n), "ground_truth": "so", "choices": None} for n in numbers
        ]
        path = folder / f"query_data/default_query_{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in texts))
    price = {"input_price": 0.2, "output_price": 0.4}
    write(folder / "default_llm.json", {"a": price, "b": price})


def routellm(folder: Path) -> None:
    rows = [{"prompt": question(n), "small": right(n, 0), "large": right(n, 1)} for n in range(COUNT)]
    for task in range(2):
        path = folder / f"mmlu/mmlu_kind{task}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows[task::2]).to_csv(path, index=False)


def routerbench(path: Path) -> None:
    rows = [
        {"sample_id": f"{kind(n)}.{n}", "prompt": question(n), "eval_name": kind(n)}
        | {model: score(n, place) for place, model in enumerate("ab")}
        | {f"{model}|model_response": "so" for model in "ab"}
        | {f"{model}|total_cost": 0.001 * (place + 1) for place, model in enumerate("ab")}
        for n in range(COUNT)
    ]
    pd.DataFrame(rows).to_parquet(path)


def llmrouterbench(folder: Path) -> None:
    for place, model in enumerate(("small", "large")):
        records = [
            {
                "index": n,
                "origin_query": question(n),
                "prompt": question(n),
                "prediction": "so",
                "ground_truth": "so",
                "score": score(n, place),
                "raw_output": "so",
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "cost": 0.001,
            }
            for n in range(COUNT)
        ]
        document = {"model_name": model, "dataset_name": "kind", "split": "test", "demo": False, "cost": 0.04}
        write(folder / f"kind/test/{model}/kind-test-{model}-20250101_000000.json", document | {"records": records})
