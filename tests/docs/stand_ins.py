"""A small folder in place of what a reader has: models, benchmarks, tables, runs and policies.

Tables and runs come from real calls of the tiny pool. Models and benchmarks of the hub are random weights and made-up
questions in the hub's layout.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.cli.main import main
from hierrouter_jax.config import config_path
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.bridge.tiny_gguf import write_gguf
from tests.docs import published
from tests.docs.running import small
from tests.tables import random_table

ONE_HOP = ("tables/lookahead", "tables/llmrouter", "tables/llmrouter-told", "tables/published", "tables/first")
ROWS = {"train": 24, "validation": 12, "test": 24}
POSITIONS = 4096
TASK_POOL = """
money_unit: US cents
models:
  - {name: one, source: models/random, max_new_tokens: 8, base_rate: 1.0e-6}
  - {name: two, source: models/random, max_new_tokens: 4, base_rate: 0.5e-6}
prompt: {fold: false}
"""
MIX = """
seed: 0
tasks:
  gsm8k: {train: 4, validation: 2, test: 2}
  humaneval: {train: 4, validation: 2, test: 2}
"""


def make(folder: Path) -> None:
    """Everything that pages take for granted; they say in the text where it comes from."""
    assert main(["quickstart", "--out", str(folder / "runs/quickstart"), *small("quickstart", [])]) == 0
    run, mine = folder / "runs/quickstart", folder / "tables/mine"
    shutil.copytree(run / "table", mine)
    shutil.copy(run / "calls.sqlite", mine / "calls.sqlite")
    shutil.copytree(run, folder / "runs/mine")
    shutil.copytree(run / "policy", folder / "policies/mine")
    shutil.copy(config_path("pool/tiny.yaml"), folder / "pool.yaml")
    queries = load_table(mine).queries
    rows = [{"id": one.id, "text": one.text, "gold": one.gold, "task": one.task, "split": one.split} for one in queries]
    write_lines(folder / "queries.jsonl", rows[::4])
    (folder / "questions.txt").write_text("".join(f"{row['text']}\n" for row in rows[-3:]))
    for place, name in enumerate(ONE_HOP):
        save_table(one_hop(place), folder / name)
    published.make(folder)
    write_benchmarks(folder / "benchmarks")
    write_language_model(folder / "models/random")
    write_sentence_model(folder / "sentence-transformers/all-mpnet-base-v2")
    (folder / "small-mix.yaml").write_text(MIX)
    write_lines(folder / "capitals.jsonl", [capital(number) for number in range(60)])
    answers = [f"```python\ndef add_{number}(x):\n    return x\n```" for number in (36, 37)]
    responses = [{"id": f"mbpp-test-{36 + place}", "response": text} for place, text in enumerate(answers)]
    write_lines(folder / "responses.jsonl", responses)
    write_gguf(folder / "made.gguf")
    (folder / "task-pool.yaml").write_text(TASK_POOL)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def one_hop(seed: int) -> OutcomeTable:
    """Outcomes of six models, each asked once; every query has words of its own."""
    table = random_table(seed=seed, queries=120, models=6, horizon=1)
    words = [f"{place} {'abcdefghijkl'[place % 12] * 9} {place * 7}" for place in range(table.num_queries)]
    queries = (replace(query, text=text) for query, text in zip(table.queries, words, strict=True))
    return replace(table, queries=tuple(queries))


def write_benchmarks(folder: Path) -> None:
    """Sums under the names and in the columns of the six benchmarks, with all three splits."""
    for name, row in BENCHMARKS.items():
        start = 0
        for split, count in ROWS.items():
            rows = [row(number) for number in range(start, start + count)]
            start += count
            path = folder / name / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(rows).to_parquet(path)


def sums(number: int) -> tuple[str, int]:
    names = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ida", "Jon")
    first, second = 11 * number + 3, 7 * number + 5
    return (
        f"{names[number % 10]} has {first} shells in box {number} and finds {second} more. How many in all?",
        first + second,
    )


def capital(number: int) -> dict[str, str]:
    first, second = "bdfgklmnprst"[number % 12], "aeiou"[number // 12]
    return {
        "country": f"{first}{second}land{number}".title(),
        "capital": f"{first}{second}{first}ville{number * 7}".title(),
        "continent": ("north", "south")[number % 2],
    }


def gsm8k(number: int) -> dict[str, Any]:
    question, total = sums(number)
    return {"question": question, "answer": f"The sum is {total}.\n#### {total}"}


def math(number: int) -> dict[str, Any]:
    question, total = sums(number + 100)
    return {
        "problem": question,
        "level": f"Level {1 + number % 2}",
        "type": "Algebra",
        "solution": f"We add and get $\\boxed{{{total}}}$.",
    }


def mbpp(number: int) -> dict[str, Any]:
    return {
        "task_id": number,
        "text": f"Write a function add_{number} that adds {number * 13} to its argument, for shelf {number}.",
        "code": f"def add_{number}(x):\n    return x + {number * 13}\n",
        "test_list": [f"assert add_{number}(1) == {number * 13 + 1}"],
        "test_setup_code": "",
        "challenge_test_list": [],
    }


def humaneval(number: int) -> dict[str, Any]:
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": f'def times_{number}(x):\n    """Multiply by {number * 17}, the price of item {number}."""\n',
        "canonical_solution": f"    return x * {number * 17}\n",
        "test": f"def check(candidate):\n    assert candidate(2) == {number * 34}\n",
        "entry_point": f"times_{number}",
    }


def arc(number: int) -> dict[str, Any]:
    question, total = sums(number + 200)
    texts = [str(total), str(total + 1), str(total + 2), str(total + 3)]
    return {
        "id": f"q{number}",
        "question": question,
        "choices": {"text": texts, "label": list("ABCD")},
        "answerKey": "A",
    }


def mmlu(number: int) -> dict[str, Any]:
    question, total = sums(number + 300)
    texts = [str(total + 1), str(total), str(total + 2), str(total + 3)]
    return {"question": question, "subject": ("algebra", "trade")[number % 2], "choices": texts, "answer": 1}


BENCHMARKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "gsm8k": gsm8k,
    "math": math,
    "mbpp": mbpp,
    "openai_humaneval": humaneval,
    "ai2_arc": arc,
    "mmlu": mmlu,
}


def write_language_model(folder: Path) -> None:
    """A language model of random weights that reads characters."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = ["<pad>", "<unk>", "\n", *map(chr, range(32, 127))]
    tokenizer = Tokenizer(models.WordLevel({letter: place for place, letter in enumerate(letters)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="\n")
    fast.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    fast.save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"eos_token_id": 2, "pad_token_id": 0, "bos_token_id": None}
    config = LlamaConfig(vocab_size=len(letters), max_position_embeddings=POSITIONS, **sizes, **ends)
    LlamaForCausalLM(config).save_pretrained(folder)


def write_sentence_model(folder: Path) -> None:
    """A sentence embedding model of random weights in the folder that the hub's default would be read from."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(chr, range(33, 127))]
    words += [f"##{letter}" for letter in words[5:]]
    plain = folder.parent / "plain"
    plain.mkdir()
    (plain / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(plain / "vocab.txt")).save_pretrained(plain)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=512, **sizes)).save_pretrained(plain)
    module = Transformer(str(plain), max_seq_length=384)
    SentenceTransformer(modules=[module, Pooling(16)]).save(str(folder))
