"""Small files in the layouts that outcomes are imported from, made by hand, and an encoder that costs nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax.outcomes.importers import ImportOptions, build_table, read_format
from hierrouter_jax.outcomes.importers.costs import WordCounter
from hierrouter_jax.outcomes.table import OutcomeTable

SUM, COLOUR, CITY = "What is 2 + 2?", "Name a colour of the rainbow, please.", "Which city is the capital of Peru?"


class LengthEncoder:
    """Embeds a query as the number of its characters."""

    spec = {"kind": "length"}  # noqa: RUF012

    def encode(self, contexts):
        return np.array([[len(context.query)] for context in contexts], dtype=np.float32)


def write(path: Path, content: Any) -> Path:
    """Text as it is, a list of rows as JSON lines where the name says so, anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".jsonl"):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def table_of(format, path, counter=WordCounter(), prices=None, columns=None, **options) -> OutcomeTable:  # noqa: B008
    records = read_format(format, path, columns)
    return build_table(records, LengthEncoder(), counter, prices, options=ImportOptions(**options))


def provenance(table: OutcomeTable) -> dict:
    """What an imported table says of where it comes from, as its header on disk does."""
    return json.loads(json.dumps(table.settings))["import"]


def long_rows(query, response) -> list[dict]:
    """Two models' outcomes of a query and of COLOUR, each with its cost."""
    return [
        {"query": text, "model": model, "score": 1, "cost": 1, "response": response}
        for text in (query, COLOUR)
        for model in "ab"
    ]


LONG = f"""query,task,model,score,response,split
{SUM},sums,small,1,four,train
{SUM},sums,large,True,4,train
"{COLOUR}",colours,small,0,wood,test
"{COLOUR}",colours,large,maybe,red,test
{CITY},cities,small,,,test
{CITY},cities,large,.5,Lima,test
{CITY},cities,large,1,Lima,test
"""
PRICES = """
money_unit: US dollars
per_tokens: 1000000
models:
  small: {base_rate: 0.1}
  large: {price_in: 1, price_out: 2}
"""


TRAJECTORIES = [
    {"trajectory": "1", "query": SUM, "model": "a", "response": "five", "cost": 1, "step": 1, "split": "train"},
    {"trajectory": "1", "query": SUM, "model": "b", "response": "four", "cost": 2, "step": 2, "success": 1},
    {"trajectory": "2", "query": SUM, "model": "a", "response": "five", "cost": 1, "success": 0, "split": "train"},
    {"trajectory": "3", "query": COLOUR, "model": "b", "response": "red", "cost": 2, "success": 0.5, "split": "test"},
    {"trajectory": "4", "query": CITY, "model": "b", "response": "Ica", "cost": 2, "success": 0, "split": "validation"},
]


def llmrouter(folder: Path) -> Path:
    """Two models; the first test question stands in train with other scores, and one train row is unreadable."""
    train = [
        {"question": SUM, "scores": {"b": 1.0, "a": 0.0}, "cluster_id": 0},
        {"question": COLOUR, "scores": {"a": 0.25, "b": 0.5}, "cluster_id": 1},
        {"question": "unheard of", "scores": {"a": 1, "b": 1}},
    ]
    test = [
        {"question": SUM, "scores": {"a": 1.0, "b": 1.0}},
        {"question": CITY, "scores": {"b": 0.0, "a": 1.0}},
    ]
    write(folder / "dcrouter_preprocessed/train.json", train)
    write(folder / "dcrouter_preprocessed/test.json", test)
    tasks = {SUM: "sums", COLOUR: "colours", CITY: "cities"}
    for split, rows in (("train", train), ("test", test)):
        queries = [
            {"task_name": tasks[row["question"]], "query": row["question"], "ground_truth": "g", "choices": None}
            for row in rows
            if row["question"] in tasks
        ]
        write(folder / f"query_data/default_query_{split}.jsonl", queries)
    prices = {"input_price": 0.2, "output_price": 0.4, "feature": "priced at $0.30", "size": "7B"}
    write(folder / "default_llm.json", {"a": prices, "b": prices | {"input_price": 2}, "unused": prices})
    return folder


def opencompass(folder: Path) -> Path:
    """One data set in each of the layouts: verdicts beside predictions, two folders, and OpenCompass's work folder."""

    def turns(text: str) -> list[dict[str, str]]:
        return [{"role": "HUMAN", "prompt": text}]

    for model, right in (("a", True), ("b", False)):
        asked = {"prompt": turns(SUM), "origin_prediction": "4", "predictions": "4", "references": "4"}
        write(
            folder / f"Sums/{model}.json", {"accuracy": 0, "details": {"type": "GEN", "0": asked | {"correct": right}}}
        )
        predictions = {
            "0": {"origin_prompt": turns(COLOUR), "prediction": f"{model} red", "gold": "Colour/0"},
            "1": {"origin_prompt": turns(CITY), "prediction": "Lima", "gold": "Colour/1"},
        }
        write(folder / f"Colours/predictions/{model}.json", predictions)
        results = {"0": {"is_correct": not right}} | ({"1": {"is_correct": True}} if right else {})
        write(folder / f"Colours/results/{model}.json", {"details": results})
        write(folder / f"run/predictions/{model}/cities.json", {"0": {"origin_prompt": CITY, "prediction": "Lima"}})
        write(folder / f"run/results/{model}/cities.json", {"details": [{"pred": "Lima", "correct": True}]})
    return folder


def routellm(folder: Path) -> Path:
    write(folder / "mmlu/responses/mmlu_anatomy.csv", f'prompt,weak,strong\n"{COLOUR}\nAnswer:",False,True\n')
    gsm8k = f"prompt,weak,strong,weak_response,strong_response\n{SUM},True,True,It is 4,4\n"
    write(folder / "gsm8k/gsm8k_responses.csv", gsm8k)
    return folder


ROUTERBENCH = f"""sample_id,prompt,eval_name,oracle_model_to_route_to,a,b,{
    ",".join(f"{model}|{column}" for model in "ab" for column in ("model_response", "total_cost"))
}
sums.1,"['{SUM}', 'Be brief.']",sums,a,1.0,0.25,4,0.001,five,0.02
cities.1,{CITY},cities,no_model_correct,0.0,,Cusco,0.002,,
"""


def llmrouterbench(folder: Path, cost: float = 0.01) -> Path:
    """Two models on one data set; of model a an older run and a demonstration too."""

    def run(model: str, stamp: str, score: Any, demo: bool = False) -> None:
        record = {
            "index": 1,
            "origin_query": SUM,
            "prompt": f"Question: {SUM}",
            "prediction": "4",
            "ground_truth": "4",
            "score": score,
            "prompt_tokens": 15,
            "completion_tokens": 5,
            "cost": cost / 2,
            "raw_output": "It is 4.",
        }
        second = record | {"index": 2, "origin_query": CITY, "prompt": CITY, "raw_output": None, "prediction": "Lima"}
        document = {"model_name": model, "dataset_name": "sums", "split": "test", "demo": demo, "cost": cost}
        name = f"sums/test/{model}/sums-test-{model}-{stamp}.json"
        write(folder / "bench" / name, document | {"records": [record, second | {"score": 1.0}]})

    run("a", "20250101_000000", 0.0)
    run("a", "20250102_000000", 1.0)
    run("a", "20250103_000000", 0.0, demo=True)
    run("b", "20250101_000000", None)
    return folder / "bench"
