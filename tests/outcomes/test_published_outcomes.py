"""Published outcomes, where their local copy is: the numbers of their authors to two decimals, and the known leak."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.outcomes.importers import ImportOptions, build_table, read_format
from hierrouter_jax.outcomes.importers.costs import WordCounter, read_prices
from hierrouter_jax.outcomes.importers.records import Records
from tests.outcomes.outcome_files import LengthEncoder

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HIERROUTER_DATA", ROOT.parent / "shared" / "data")) / "outcomes"

LOOKAHEAD = {  # GSM8K, HumanEval, MBPP; percent
    "Llama-3.1-8B-Instruct": (81.65, 62.20, 68.09),
    "Phi-3-medium-4k-instruct": (89.08, 74.39, 68.87),
    "Qwen2.5-Coder-7B-Instruct": (85.75, 87.20, 82.88),
    "Yi-1.5-34B-Chat": (88.40, 69.51, 70.82),
    "gemma-2-9b-it": (88.25, 59.15, 66.54),
    "internlm2_5-20b-chat": (89.84, 72.56, 68.87),
}
RANDOM, ORACLE = (87.16, 70.83, 71.01), (97.73, 93.90, 92.61)


@pytest.fixture(scope="module")
def outcomes() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"the local copy of the outcomes is not there ({DATA}); HIERROUTER_DATA names its folder")
    return DATA


@pytest.fixture(scope="module")
def llmrouter(outcomes) -> Records:
    return read_format("llmrouter", outcomes / "llmrouter")


def test_lookahead_has_its_authors_numbers(outcomes):
    records = read_format("opencompass", outcomes / "lookahead" / "test")
    assert not records.rejected
    for column, task in enumerate(("GSM8k", "HumanEval", "MBPP")):
        part = records.frame[records.frame["task"] == task]
        right = 100 * part.pivot(index="query_id", columns="model", values="score").astype(float)
        assert right.notna().all(axis=None)
        assert right.mean().round(2).to_dict() == {model: row[column] for model, row in LOOKAHEAD.items()}
        assert round(right.mean(axis=None), 2) == RANDOM[column]
        assert round(right.max(axis=1).mean(), 2) == ORACLE[column]


def test_a_lookahead_benchmark_becomes_a_whole_table(outcomes):
    prices, unit = read_prices(ROOT / "configs" / "prices" / "lookahead.yaml")
    records = read_format("opencompass", outcomes / "lookahead" / "test" / "HumanEval")
    options = ImportOptions(shares={"train": 82, "validation": 41, "test": 41})
    table = build_table(records, LengthEncoder(), WordCounter(), prices, unit, options)
    assert table.model_names == tuple(LOOKAHEAD)
    assert table.available.all()
    assert (table.cost[:, 1:] > 0).all()
    splits = [query.split for query in table.queries]
    assert (splits.count("train"), splits.count("validation"), splits.count("test")) == (82, 41, 41)
    assert table.settings["import"]["dev_only"]
    assert len(table.settings["import"]["files"]) == 12


def test_llmrouter_has_its_authors_numbers(llmrouter):
    frame = llmrouter.frame[llmrouter.frame["split"] == "test"]
    scores = frame.pivot(index="query_id", columns="model", values="score").astype(float)
    assert scores.shape == (450, 9)
    assert scores.mean().max().round(3) == 0.605
    assert scores.mean(axis=None).round(3) == 0.407
    assert scores.max(axis=1).mean().round(3) == 0.770


def test_llmrouters_leak_is_found_and_dropped(llmrouter):
    """50 of 50 HumanEval and 19 of 50 MBPP test queries stand in its train file."""
    part = llmrouter.frame["task"].isin(["human_eval", "mbpp"])
    table = build_table(replace(llmrouter, frame=llmrouter.frame[part]), LengthEncoder(), WordCounter())
    found = table.settings["import"]["duplicates"]
    leaked = {task: (counts["exact"], counts["queries"]) for task, counts in found["leaked"]["test"].items()}
    assert leaked == {"human_eval": (50, 50), "mbpp": (19, 50)}
    assert found["dropped"]["train"]["human_eval"] == 50
    group = np.array([query.group for query in table.queries])
    test = np.array([query.split == "test" for query in table.queries])
    assert test.sum() == 100
    assert not set(group[test]) & set(group[~test])


ROUTERBENCH = {  # mean score of the sample, percent
    "WizardLM/WizardLM-13B-V1.2": 43.97,
    "gpt-4-1106-preview": 78.15,
    "meta/code-llama-instruct-34b-chat": 21.78,
    "zero-one-ai/Yi-34B-Chat": 68.49,
}


def test_routerbenchs_sample_is_read_whole(outcomes):
    """Lists in text become what they hold, stated costs suffice, and no row is lost."""
    if not (outcomes / "routerbench").is_dir():
        pytest.skip(f"the local copy of RouterBench's sample is not there ({outcomes / 'routerbench'})")
    records = read_format("routerbench", outcomes / "routerbench")
    assert not records.rejected
    table = build_table(records, LengthEncoder())
    assert table.quality[:, 1:].shape == (365, 11)
    assert table.available.all()
    means = dict(zip(table.model_names, (100 * table.quality[:, 1:].mean(axis=0)).round(2).tolist(), strict=True))
    assert {name: means[name] for name in ROUTERBENCH} == pytest.approx(ROUTERBENCH, abs=0.005)
    assert 100 * table.quality.max(axis=1).mean() == pytest.approx(89.93, abs=0.005)
    first = next(row for row, query in enumerate(table.queries) if query.id == "mmlu-professional-psychology.val.221")
    said = dict(zip(table.model_names, table.response[first, 1:], strict=True))
    assert (said["claude-v1"], said["gpt-3.5-turbo-1106"], said["mistralai/mistral-7b-chat"]) == ("C", "C)", "\nA")
    assert table.queries[first].text.startswith("Please answer with the letter of the correct answer.\n\nWhich of")
    assert table.cost[first, 1 + table.model_names.index("claude-v1")] == 0.0005920000000000001
    assert not table.settings["import"]["costless"]
