"""`hierrouter collect` with programmed models: exit codes, models beside the pool, and what inspect says of it."""

from weakref import ref

import pytest

from hierrouter_jax.bridge.backends import Failure, weights
from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import load_external, load_table

POOL = """
models:
  - {name: ok, source: x, max_new_tokens: 60, base_rate: 1}
  - {name: bad, source: x, max_new_tokens: 60, base_rate: 1}
external: [{name: large, source: x, max_new_tokens: 60, base_rate: 9, size_from: org/official}]
"""
QUERIES = "id,text,gold,split\na,Is it a?,ok,train\nb,Is it b?,ok,validation\nc,Is it c?,ok,test\n"


@pytest.fixture
def collect(tmp_path, monkeypatch, programmed):
    """Runs the verb and returns the exit code; a member of `failing` fails at every call."""
    (tmp_path / "pool.yaml").write_text(POOL)
    (tmp_path / "queries.csv").write_text(QUERIES)
    failing: set[str] = set()

    def backend(name):
        made = programmed(name, lambda prompt: name)
        answer = made.generate
        made.generate = lambda prompts: [Failure("no answer")] * len(prompts) if name in failing else answer(prompts)
        return made

    monkeypatch.setattr(
        "hierrouter_jax.cli.collection.load_backends",
        lambda config, servers: tuple(backend(m.name) for m in config.models),
    )

    def run(*options, fails=()):
        failing.clear()
        failing.update(fails)
        where = ["--pool", str(tmp_path / "pool.yaml"), "--queries", str(tmp_path / "queries.csv"), "--horizon", "2"]
        return main(["collect", str(tmp_path / "table"), *where, "--batch_size", "2", *options])

    return run


def said(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_exit_codes_and_what_is_kept(collect, tmp_path, capsys):
    assert collect("--max_cost", "400") == 3
    assert "the same command with a larger budget goes on from there" in said(capsys)
    assert collect(fails={"large"}) == 4
    assert "3 calls failed (3 x no answer), so there is no table yet; 18 finished calls are kept in" in said(capsys)
    assert not (tmp_path / "table" / "table.json").exists()
    assert collect() == 0
    assert load_table(tmp_path / "table").available.all()
    beside = load_external(tmp_path / "table")
    assert beside is not None
    assert beside.settings["sizes_from"] == {"large": "org/official"}
    assert (beside.model_names, beside.tree.horizon, beside.num_queries) == (("large",), 1, 3)
    assert collect("--max_hours", "-1") == 2


def test_failures_that_are_kept_are_told_by_inspect(collect, tmp_path, capsys):
    assert collect("--keep_failed", fails={"bad"}) == 0
    assert "calls failed (" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "table")]) == 0
    assert "count as wrong, with their prompts charged" in " ".join(capsys.readouterr().out.split())
    assert read_json(tmp_path / "table" / "table.json")["settings"]["failed"]["training_hops_masked"] == 4


def test_a_table_needs_a_folder(collect, tmp_path, capsys):
    assert main(["collect", "--queries", str(tmp_path / "queries.csv"), "--pool", str(tmp_path / "pool.yaml")]) == 2
    assert "--out is missing" in said(capsys)


@pytest.mark.parametrize(
    ("resident", "sources", "loaded_before"),
    [("false", (0, 1), [0, 0]), ("true", (0, 1), [0, 1]), ("true", (0, 0), [0])],
)
def test_models_beside_the_pool_share_its_memory(model_folder, tmp_path, monkeypatch, resident, sources, loaded_before):
    """One model at a time: the member is freed before the one beside it is loaded. Equal weights are loaded once."""
    load, loaded, alive = weights._load, [], []

    def watched(config, tokenizer):
        alive.append(sum(model() is not None for model in loaded))
        made = load(config, tokenizer)
        loaded.append(ref(made))
        return made

    monkeypatch.setattr(weights, "_load", watched)
    folders = {seed: model_folder(seed=seed) for seed in set(sources)}
    a, b = (
        f"{{name: {name}, source: '{folders[seed]}', max_new_tokens: 4, base_rate: 1}}"
        for name, seed in zip("ab", sources, strict=True)
    )
    (tmp_path / "pool.yaml").write_text(f"resident: {resident}\nmodels: [{a}]\nexternal: [{b}]\n")
    (tmp_path / "queries.csv").write_text(QUERIES)
    where = ["--pool", str(tmp_path / "pool.yaml"), "--queries", str(tmp_path / "queries.csv"), "--horizon", "1"]
    assert main(["collect", str(tmp_path / "table"), *where]) == 0
    assert alive == loaded_before
    beside = load_external(tmp_path / "table")
    assert beside is not None
    assert (load_table(tmp_path / "table").model_names, beside.model_names) == (("a",), ("b",))
