"""The benchmark script runs and keeps the contract of its JSON."""

import subprocess
import sys
from pathlib import Path

from hierrouter_jax.files import read_json

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_bench_train_writes_positive_figures(tmp_path):
    out = tmp_path / "train.json"
    sizes = ["--queries", "20", "--features", "8", "--num_envs", "64", "--runs", "2"]
    subprocess.run([sys.executable, SCRIPTS / "bench_train.py", *sizes, "--out", out], check=True, timeout=300)
    bench = read_json(out)
    assert {"machine", "results", "ratios"} <= set(bench)
    for row in bench["results"]:
        assert {"name", "value", "unit", "runs"} <= set(row)
        assert row["value"] > 0
    assert len(bench["results"][0]["runs"]) == 2
    assert 0 < bench["ratios"]["train_over_rollout"] < 1
