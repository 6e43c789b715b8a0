"""Replicates from the command line: a pool behind an endpoint that samples, grown call by call, and what is refused."""

from collections import Counter

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.outcomes.store import load_external, load_table
from tests.bridge.endpoints import Asked, FakeServer, Reply, completion

MEMBER = (
    "{{name: {name}, kind: openai, max_new_tokens: 20, price_in: 1, price_out: 2, {more} endpoint: "
    "{{base_url: '{url}', model: {name}, weights: {name}}}}}"
)
SAMPLES = "sampling: {temperature: 0.7, seed: 4},"
QUERIES = "id,text,gold,split\nt,Is it t?,ok,train\nv,Is it v?,ok,validation\nx,Is it x?,ok,test\n"


def answer(asked: Asked) -> Reply:
    """A sampling member answers with its seed; a greedy one with its name."""
    text = str(asked.fields.get("seed", asked.fields["model"]))
    return Reply(completion(asked, text))


@pytest.fixture
def collect(tmp_path):
    server = FakeServer(answer)
    (tmp_path / "queries.csv").write_text(QUERIES)

    def run(folder: str, *options: str, a: str = SAMPLES, b: str = "") -> int:
        members = [MEMBER.format(name=name, url=server.url, more=more) for name, more in (("a", a), ("b", b))]
        beside = MEMBER.format(name="c", url=server.url, more=SAMPLES)
        (tmp_path / "pool.yaml").write_text(f"models: [{members[0]}, {members[1]}]\nexternal: [{beside}]\n")
        files = ["--pool", str(tmp_path / "pool.yaml"), "--queries", str(tmp_path / "queries.csv"), "--horizon", "2"]
        return main(["collect", str(tmp_path / folder), *files, *options])

    run.asked = server.asked
    yield run
    server.stop()


def requests(collect) -> Counter:
    asked = Counter((one.fields["model"], one.prompt, one.fields.get("seed")) for one in collect.asked)
    collect.asked.clear()
    return asked


def test_replicates_are_added_without_a_call_that_was_paid_for(collect, tmp_path):
    assert collect("grown") == 0
    first = requests(collect)
    assert collect("grown", "--replicates", "3") == 0
    more = requests(collect)
    assert not first & more
    table = load_table(tmp_path / "grown")
    assert [query.id for query in table.queries] == [
        *("t", "v", "x"), *("t-seed1", "v-seed1", "x-seed1"), *("t-seed2", "v-seed2", "x-seed2")
    ]  # fmt: skip
    assert table.question.tolist() == [0, 1, 2] * 3
    drafts = table.response[:, 1].reshape(3, 3)
    assert all(len(set(of_question)) == 3 for of_question in drafts.T.tolist())
    assert set(table.response[:, 2]) == {"b"}
    assert sum(model == "b" and prompt.count("\n") == 1 for model, prompt, _ in more) == 0  # greedy: asked once
    beside = load_external(tmp_path / "grown")
    assert beside is not None
    assert len(set(beside.response[:, 1].tolist())) == 9
    assert collect("at-once", "--replicates", "3") == 0
    assert requests(collect) == first + more
    at_once = load_table(tmp_path / "at-once")
    assert (at_once.fingerprint, at_once.settings) == (table.fingerprint, table.settings)


def test_a_table_of_replicates_gives_all_of_its_calls_back(collect, tmp_path, capsys):
    assert collect("first", "--replicates", "2") == 0
    first = requests(collect)
    assert collect("second", "--replicates", "2", "--calls", str(tmp_path / "first")) == 0
    assert not requests(collect)
    assert collect("third", "--replicates", "3", "--calls", str(tmp_path / "first")) == 0
    third = requests(collect)
    assert third
    assert not third & first
    assert "left out" not in capsys.readouterr().err


def test_what_would_be_no_replicate_is_refused(collect, capsys):
    assert collect("greedy", "--replicates", "2", a="") == 2
    wanted = "by seed would give the same answers 2 times, as every model of"
    assert wanted in (message := " ".join(capsys.readouterr().err.split()))
    assert message.endswith("decodes greedily; state a sampling.temperature, or --replicate_by order")
    assert collect("order", "--replicates", "2", "--replicate_by", "order") == 2
    assert "--replicate_by order is for multiple choice: say of which --tasks or --mix" in capsys.readouterr().err
    assert collect("none", "--replicates", "0") == 2
    assert "replicates is 0" in capsys.readouterr().err
    assert not collect.asked
