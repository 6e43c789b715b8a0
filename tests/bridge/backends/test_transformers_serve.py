"""The real thing: `transformers serve` with a real model, which is killed and restarted in mid-run."""

import os
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from hierrouter_jax.cli.main import main
from hierrouter_jax.outcomes.store import load_table
from scripts.kill_collection import COLUMNS
from tests.bridge.servers.transformers_serve import Serve
from tests.pool_files import written

PROMPTS = [f"{'ab? c' * (row % 7)}{row} and {row * row}\n" for row in range(40)]
LIMIT = 24


@pytest.mark.slow
@pytest.mark.skipif("HIERROUTER_SERVERS" not in os.environ, reason="starts a server twice: set HIERROUTER_SERVERS=1")
def test_a_killed_and_restarted_server_changes_nothing(model_folder, tmp_path):
    folder = model_folder()
    here = load_backends(PoolConfig((ModelConfig("here", str(folder), LIMIT, base_rate=1.0),)))[0].generate(PROMPTS)
    server = Serve(folder, tmp_path / "log")
    server.wait()

    try:
        endpoint = Endpoint(f"http://localhost:{server.port}/v1", str(folder), concurrency=4, retries=40)
        there = ModelConfig("there", str(folder), LIMIT, base_rate=1.0, kind="openai", endpoint=endpoint)
        killer = server.restart_after(8)
        answers = load_backends(PoolConfig((there,)))[0].generate(PROMPTS)
        killer.join()
        # 8 or more before the kill, and those that the dead server still had in hand once more
        assert len(PROMPTS) <= server.answered <= len(PROMPTS) + 4
    finally:
        server.kill()
    for answer, expected in zip(answers, here, strict=True):
        assert answer[1:3] == expected[1:3]
        # An end token of the random model is an ordinary character, which the server leaves in the text.
        assert answer.text[: len(expected.text)] == expected.text


@pytest.mark.extended
@pytest.mark.skipif("HIERROUTER_SERVERS" not in os.environ, reason="starts a server twice: set HIERROUTER_SERVERS=1")
@pytest.mark.parametrize(("retries", "codes"), [(0, {2, 4}), (40, {0})])
def test_a_collection_outlives_its_server(model_folder, tmp_path, capsys, retries, codes):
    """Without retries the command ends: by 2 if a batch got no answer at all, by 4 if some calls of it failed."""
    folder, concurrency = model_folder(seed=3), 4
    rows = [f"q{row},{PROMPTS[row].strip()},x,{('train', 'validation', 'test')[row % 3]}" for row in range(12)]
    (tmp_path / "queries.csv").write_text("\n".join(["id,text,gold,split", *rows]))
    server = Serve(folder, tmp_path / "log")
    endpoint = Endpoint(f"http://localhost:{server.port}/v1", str(folder), concurrency=concurrency, retries=retries)
    members = [ModelConfig(f"up to {n}", "", n, base_rate=1.0, kind="openai", endpoint=endpoint) for n in (12, LIMIT)]
    pool = written(PoolConfig(tuple(members)), tmp_path / "pool.yaml")

    def collect(out: str) -> int:
        options = ["--pool", str(pool), "--queries", str(tmp_path / "queries.csv"), "--horizon", "2"]
        return main(["collect", str(tmp_path / out), *options, "--batch_size", "8"])

    try:
        server.wait()
        killer = server.restart_after(20)
        code = collect("killed")
        killer.join()
        assert code in codes, capsys.readouterr().err
        kept = num_calls(tmp_path / "killed")
        server.wait()
        capsys.readouterr()
        assert collect("killed") == 0
        calls, answered = num_calls(tmp_path / "killed"), server.answered
        assert f"{calls - kept} of them made by this run" in capsys.readouterr().out
        assert 20 - concurrency <= kept <= (calls if code == 0 else calls - 1)
        # What the dead server had in hand is asked once more, and nothing that was kept.
        assert calls <= answered <= calls + concurrency
        assert collect("whole") == 0
    finally:
        server.kill()
    one, other = load_table(tmp_path / "killed"), load_table(tmp_path / "whole")
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.fingerprint == other.fingerprint


def num_calls(folder: Path) -> int:
    """Calls that are kept, from a cache that nobody writes any more."""
    cache = CallCache(folder / "calls.sqlite")
    try:
        return cache.num_calls
    finally:
        cache.close()
