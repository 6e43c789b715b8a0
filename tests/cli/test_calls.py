"""`hierrouter calls` and `collect --calls` against an endpoint that counts its requests."""

from collections import Counter

import pytest

from hierrouter_jax.bridge import paid_calls
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.store import load_external, load_table
from tests.bridge.endpoints import Asked, FakeServer, Reply, completion

QUERIES = "id,text,gold,split\n" + "".join(
    f"q{row},Is it {row}?,OK,{split}\n" for row, split in enumerate(["train", "validation", "test"] * 2)
)
MEMBER = "{{name: {name}, kind: openai, max_new_tokens: 60, base_rate: 1, endpoint: {{base_url: {url}, model: {name}, weights: {name}-1}}}}"  # noqa: E501


def answer(asked: Asked) -> Reply:
    return Reply(completion(asked, f"{asked.fields['model']}{len(asked.prompt)}"))


class Machine:
    """A fresh machine: an empty folder and a server of its own, on another port."""

    def __init__(self, folder, answers=None):
        self.folder, self.left = folder, answers
        self.server = FakeServer(self.rule)
        folder.mkdir()
        members = [MEMBER.format(name=name, url=self.server.url) for name in "abl"]
        pool = f"models: [{members[0]}, {members[1]}]\nexternal: [{members[2]}]\n"
        (folder / "pool.yaml").write_text(pool)
        (folder / "queries.csv").write_text(QUERIES)

    def rule(self, asked: Asked) -> Reply:
        """Answers as many requests as are left, then none."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                return Reply({"error": {"message": "gone"}}, 400)
        return answer(asked)

    def collect(self, *options: str) -> int:
        files = ["--pool", str(self.folder / "pool.yaml"), "--queries", str(self.folder / "queries.csv")]
        return main(["collect", str(self.folder / "table"), *files, "--horizon", "2", "--batch_size", "4", *options])

    def requests(self) -> Counter:
        """Of those that were answered."""
        answered = self.server.asked if self.left is None else self.server.asked[: len(self.server.asked) + self.left]
        return Counter((asked.fields["model"], asked.prompt) for asked in answered)


@pytest.fixture
def machine(tmp_path):
    made = []

    def make(answers=None):
        made.append(Machine(tmp_path / f"machine{len(made)}", answers))
        return made[-1]

    yield make
    for one in made:
        one.server.stop()


def test_machines_that_vanish_hand_on_what_they_paid_for(machine, tmp_path):
    whole = machine()
    assert whole.collect() == 0
    committed, paid = tmp_path / "committed", Counter()
    for answers in (7, 12, 9):
        first = machine(answers)
        assert first.collect(*(["--calls", str(committed)] if paid else [])) in (2, 4)
        assert not first.requests() & paid
        paid += first.requests()
        before = {path.name: path.read_bytes() for path in committed.iterdir()} if committed.is_dir() else {}
        assert main(["calls", str(first.folder / "table"), str(committed)]) == 0
        after = {path.name: path.read_bytes() for path in committed.iterdir()}
        assert before.items() < after.items()
    last = machine()
    assert last.collect("--calls", str(committed)) == 0
    assert not last.requests() & paid
    assert paid + last.requests() == whole.requests()
    for name in ("nodes/part-00000.parquet", "external/nodes/part-00000.parquet"):
        assert (last.folder / "table" / name).is_file()
    one, other = load_table(last.folder / "table"), load_table(whole.folder / "table")
    assert (one.fingerprint, one.settings) == (other.fingerprint, other.settings)


def test_a_table_serves_in_place_of_its_calls(machine, capsys):
    first, second = machine(), machine()
    assert first.collect() == 0
    assert second.collect("--calls", str(first.folder / "table"), "--horizon", "3") == 0
    said = capsys.readouterr().err
    assert "calls of the table are new to" in said
    assert not first.requests() & second.requests()
    one, other = load_external(first.folder / "table"), load_external(second.folder / "table")
    assert one is not None
    assert other is not None
    assert one.fingerprint == other.fingerprint


def test_what_the_verb_says(machine, tmp_path, capsys):
    one = machine()
    folder = str(tmp_path / "committed")
    assert main(["calls", str(one.folder / "table"), folder]) == 2
    assert "calls.sqlite: no such file; name the folder of a collection that has begun" in capsys.readouterr().err
    assert one.collect("--calls", folder) == 2
    assert f"{folder}: holds no calls; 'hierrouter calls OUT {folder}' writes" in capsys.readouterr().err
    assert not one.server.asked
    assert one.collect() == 0
    capsys.readouterr()
    assert main(["calls", str(one.folder / "table"), folder]) == 0
    assert capsys.readouterr().out == f"{folder}: {len(one.requests())} new calls\n"
    assert main(["calls", str(one.folder / "table"), folder]) == 0
    assert capsys.readouterr().out == f"{folder}: holds all of them already, nothing is written\n"


def test_a_cache_is_closed_though_its_calls_cannot_be_written(machine, tmp_path, monkeypatch):
    one, caches = machine(), []
    assert one.collect() == 0

    def full(cache, folder):
        caches.append(cache)
        raise InputError(f"{folder}: is full")

    monkeypatch.setattr(paid_calls, "write_new_calls", full)
    assert main(["calls", str(one.folder / "table"), str(tmp_path / "committed")]) == 2
    with pytest.raises(InputError, match="closed database"):
        caches[0].get_many("a", ["a prompt"])
