"""Where a local copy of the benchmarks lies, and their rows."""

import os
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = Path(os.environ.get("HIERROUTER_DATA", ROOT.parent / "shared" / "data")) / "benchmarks"


def benchmark(name: str) -> pd.DataFrame:
    """The rows of a benchmark's test file; the test that asks is skipped where there is none."""
    path = BENCHMARKS / name / "test.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return pd.read_parquet(path)
