"""The jobs that are killed: what each is given, how it is run, and what its result is, without times."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.outcomes.store import load_table, save_table
from tests.outcomes.outcome_files import PRICES, SUM
from tests.studies.leaderboard.known import known_table
from tests.tables import random_table
from tests.training.run_folder_fixture import build_run_folder

SMALL = {"num_envs": 64, "epochs": 1, "minibatches": 1, "hidden": [16, 16], "stage_size": 4}
TIMES = re.compile(r"second|machine|command|peak|wall|took|last_run|version")


@dataclass(frozen=True)
class Job:
    """A command that is killed and run again.

    Attributes:
      prepare: function that writes what the command reads into a folder.
      command: function that gives its arguments, of that folder and of the folder that it writes.
      result: function that reads what it made, in a form that can be compared, without times.
      serves: whether it calls the endpoint that `engine.py` runs.
      copies: name of the folder that its output begins as a copy of, where it writes into what is there.
      after: name of the job whose output it reads, as the folder `trained`.
    """

    prepare: Callable[[Path], None]
    command: Callable[[Path, Path], list[str]]
    result: Callable[[Path], Any]
    serves: bool = False
    copies: str = ""
    after: str = ""


def without_times(value: Any) -> Any:
    """Plain data without the fields that say how long something took, and on what."""
    if isinstance(value, dict):
        return {name: without_times(inner) for name, inner in value.items() if not TIMES.search(name)}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def json_of(name: str) -> Callable[[Path], Any]:
    return lambda out: without_times(json.loads((out / name).read_text()))


def frame_of(name: str) -> Callable[[Path], Any]:
    def read(out: Path) -> Any:
        frame = pd.read_parquet(out / name)
        return frame[[column for column in frame if not TIMES.search(str(column))]].to_json(double_precision=15)

    return read


def table_of(out: Path) -> Any:
    table = load_table(out)
    return table.fingerprint, table.context_embedding.tolist(), [query.split for query in table.queries]


def _table(folder: Path, **options: Any) -> None:
    save_table(random_table(**{"queries": 60, "models": 2, "horizon": 2} | options), folder / "table")


def _train(folder: Path, learners: tuple[str, ...] = ("exact", "ppo+stop"), updates: int = 40) -> None:
    _table(folder)
    static = SMALL | {"num_updates": updates, "evaluate_every": 2}
    settings = {"learners": list(learners), "num_seeds": 2, "features": 4, "checkpoint_every": 2}
    (folder / "train.yaml").write_text(yaml.safe_dump({"train": settings | {"static": static}}))


def _sweep(folder: Path) -> None:
    _table(folder)
    train = {"learners": ["exact"], "features": 6, "static": SMALL | {"num_updates": 10}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"train": train, "seeds": 2, "layout": "map", "chunk": 1}))


def _compare(folder: Path) -> None:
    _table(folder)
    base = {"learner": "exact+stop", "features": 6, "static": SMALL | {"num_updates": 4, "evaluate_every": 2}}
    arms = {"plain": {}, "gain": {"reward": {"quality_gain": 1.0}}}
    more = {"arms": arms, "base": base, "cost_weights": [0.01, 0.3], "seeds": 2, "layout": "map", "resamples": 200}
    (folder / "compare.yaml").write_text(yaml.safe_dump(more))


def _loop(folder: Path) -> None:
    _table(folder)
    static = SMALL | {"num_updates": 4, "evaluate_every": 2}
    train = {"num_seeds": 1, "features": 4, "checkpoint_every": 2, "static": static}
    numbers = {"episodes": 200, "every": 100, "seeds": 2, "best": "best-sequence", "train": train}
    (folder / "loop.yaml").write_text(yaml.safe_dump(numbers))


def _leaderboard(folder: Path) -> None:
    save_table(known_table(), folder / "table")
    known = "tests.studies.leaderboard.known:"
    learners = {"first": {"fit": f"{known}always_first"}, "task": {"fit": f"{known}knows_the_task"}}
    more = {"splits": 4, "train": 40, "test": 20, "features": 4, "resamples": 200, "workers": 1, "learners": learners}
    (folder / "board.yaml").write_text(
        yaml.safe_dump(more | {"opponents": ["best-single", "best-single-per-task", "random", "oracle_stop"]})
    )


def _outcomes(folder: Path) -> None:
    rows = [
        f"{SUM.replace('2', str(number))},sums,{model},{(number + place) % 2},answer {number},{split}"
        for number, split in enumerate(["train", "train", "validation", "test"] * 400)
        for place, model in enumerate(("small", "large"))
    ]
    (folder / "o.csv").write_text("query,task,model,score,response,split\n" + "\n".join(rows) + "\n")
    (folder / "prices.yaml").write_text(PRICES)


def _collect(folder: Path) -> None:
    rows = [
        {"id": f"q{n}", "text": f"Question {n}?", "gold": f"QUESTION {n}?", "split": split}
        for n, split in enumerate(["train", "validation", "test"] * 12)
    ]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    url = json.loads((folder / "server.json").read_text())["url"]
    member = {"kind": "openai", "chat": True, "max_new_tokens": 64}
    endpoint = {"base_url": url, "retries": 4, "concurrency": 2}
    models = [
        {"name": f"m{n}", "base_rate": 1.0 + n, **member, "endpoint": endpoint | {"model": f"m{n}"}} for n in range(2)
    ]
    (folder / "pool.yaml").write_text(yaml.safe_dump({"models": models}))


def _run(folder: Path) -> None:
    build_run_folder(folder / "run")


JOBS = {
    "import": Job(
        _outcomes,
        lambda folder, out: [
            *("import", "long", str(folder / "o.csv"), "--prices", str(folder / "prices.yaml"), "--tokenizer", "words"),
            *("--out", str(out), "--encoder", "{kind: ngrams, size: 32}"),
        ],
        table_of,
    ),
    "train": Job(
        _train,
        lambda folder, out: [
            *("train", str(folder / "table"), "--config", str(folder / "train.yaml"), "--out", str(out))
        ],
        frame_of("metrics.parquet"),
    ),
    "export": Job(
        lambda folder: _train(folder, ("exact",), 4),
        lambda folder, out: ["export", str(folder / "trained"), str(out), "--learner", "exact", "--onnx"],
        lambda out: PolicyBundle.load(out).fingerprint,
        after="train",
    ),
    "report": Job(_run, lambda folder, out: ["report", str(out)], json_of("report.json"), copies="run"),
    "sweep": Job(
        _sweep,
        lambda folder, out: [
            *("sweep", str(folder / "table"), "agent.learning_rate=log(3e-4,1e-2)", "reward.hop_cost=0.01,0.5"),
            *("--config", str(folder / "sweep.yaml"), "--draws", "4", "--out", str(out)),
        ],
        frame_of("sweep.parquet"),
    ),
    "compare": Job(
        _compare,
        lambda folder, out: [
            *("compare", str(folder / "table"), "--config", str(folder / "compare.yaml"), "--out", str(out))
        ],
        json_of("compare.json"),
    ),
    "loop": Job(
        _loop,
        lambda folder, out: [
            *("loop", str(folder / "table"), "--config", str(folder / "loop.yaml"), "--out", str(out))
        ],
        json_of("loop.json"),
    ),
    "leaderboard": Job(
        _leaderboard,
        lambda folder, out: [
            *("leaderboard", str(folder / "table"), "--config", str(folder / "board.yaml"), "--out", str(out))
        ],
        json_of("leaderboard.json"),
    ),
    "collect": Job(
        _collect,
        lambda folder, out: [
            *("collect", str(out), "--pool", str(folder / "pool.yaml"), "--queries", str(folder / "queries.jsonl")),
            *("--horizon", "2", "--batch_size", "4", "--encoder", "{kind: ngrams, size: 16}"),
        ],
        table_of,
        serves=True,
    ),
}
ENVIRONMENT = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    "JAX_PLATFORMS": "cpu",
}
