"""Mixes: what is drawn from where, what is held apart, and what the table is told of it."""

from collections import Counter
from pathlib import Path

import pytest

from hierrouter_jax.bridge.tasks import MixConfig, draw_mix, load_mix, load_task
from hierrouter_jax.bridge.tasks.config import Share
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Turn
from hierrouter_jax.plugins import load_object

TASKS = ("arc", "gsm8k", "humaneval", "math", "mbpp", "mmlu")


def mix(task: Path, seed: int = 0, **share) -> MixConfig:
    return MixConfig({str(task): Share(**share)}, seed)


def test_counts_strata_and_seeds(own_task, sums):
    task = own_task({"train": sums(60), "test": sums(60, 60)})
    drawn = draw_mix(mix(task, train=24, validation=12, test=18))
    assert Counter(query.split for query in drawn.queries) == {"train": 24, "validation": 12, "test": 18}
    assert len({query.id for query in drawn.queries}) == 54
    strata = Counter("abbccc"[int(query.gold) % 6] for query in drawn.queries if query.split == "train")
    assert strata == {"a": 4, "b": 8, "c": 12}
    assert all(query.id.startswith("own-test-") == (query.split == "test") for query in drawn.queries)
    assert draw_mix(mix(task, train=24, validation=12, test=18)).queries == drawn.queries
    assert draw_mix(mix(task, 1, train=24, validation=12, test=18)).queries != drawn.queries


def test_no_split_holds_a_pilot_s_questions_though_test_draws_none(own_task, sums):
    """Train and test are drawn from one file of 20, of which a pilot asked 5."""
    task = own_task({"train": [], "test": sums(20)})
    pilot = {query.id for query in draw_mix(mix(task, test=5)).queries}
    drawn = draw_mix(mix(task, train=15, skip=5, splits={"train": "test"}))
    assert {query.split for query in drawn.queries} == {"train"}
    assert not pilot & {query.id for query in drawn.queries}
    assert drawn.settings["tasks"]["own"]["drawn_from"] == {"train": "test"}
    with pytest.raises(InputError, match="15 are left: 20 in its source, less worked examples, 5 that are skipped"):
        draw_mix(mix(task, train=16, skip=5, splits={"train": "test"}))


def test_a_leaked_test_question_is_not_trained_on(own_task, sums):
    """Half of the training file is the test file again, in capitals: all of it is drawn, none is trained on."""
    test = sums(20, 100)
    leaked = [row | {"question": row["question"].upper() + " Please."} for row in test]
    task = own_task({"train": sums(20) + leaked, "test": test})
    drawn = draw_mix(mix(task, train=20, test=20))
    assert {query.gold for query in drawn.queries if query.split == "train"} == {str(n) for n in range(20)}
    found = drawn.settings["mix"]["duplicates"]
    assert (found["items"], found["pairs_across_files"], found["groups"]) == (60, 20, 20)
    assert found["across_files"][0]["first"].startswith("own-test-")
    with pytest.raises(InputError, match="21 train queries are asked for, but 20 are left: 40 in its source"):
        draw_mix(mix(task, train=21, test=20))


def test_duplicates_share_a_group(own_task, sums):
    rows = sums(6)
    task = own_task({"train": [*rows, rows[0]], "test": []})
    drawn = draw_mix(mix(task, train=7))
    groups = Counter(query.group for query in drawn.queries)
    assert groups["own-train-00000"] == 2
    assert sorted(groups.values()) == [1, 1, 1, 1, 1, 2]
    assert drawn.settings["mix"]["duplicates"]["queries_sharing_a_group"] == 2


def test_examples_are_shown_and_never_asked(own_task, sums):
    rows = sums(12)
    more = "shots: {count: 2, seed: 3}\n"
    task = own_task({"train": [*rows, *rows], "test": sums(4, 50)}, more)
    with pytest.raises(InputError, match="asked for, but 20 are left: 24 in its source, less worked examples"):
        draw_mix(mix(task, train=21, test=4))
    drawn = draw_mix(mix(task, train=20, test=4))
    (shots,) = drawn.settings["tasks"]["own"]["shots"].values()
    shown = [rows[int(shot[-5:]) % 12] for shot in shots]
    assert len(shown) == 2
    for query in drawn.queries:
        assert query.shots == tuple(
            Turn(role, said)
            for s in shown
            for role, said in (("user", f"Q: {s['question']}"), ("assistant", f"A: {s['gold']}"))
        )
        assert query.gold not in {s["gold"] for s in shown}


def test_a_share_may_say_how_many_examples_are_shown(own_task, sums):
    task = own_task({"train": sums(12), "test": sums(6, 60)}, "shots: {count: 3}\n")
    for count, shares in ((3, {}), (1, {"shots": 1}), (0, {"shots": 0})):
        drawn = draw_mix(mix(task, train=2, test=6, **shares))
        assert {len(query.shots) for query in drawn.queries} == {2 * count}
    with pytest.raises(InputError, match="shots is -1, but must be a whole number of at least 0"):
        Share(shots=-1)


def test_examples_of_the_same_stratum(own_task, sums):
    more = "shots: {count: 1, same_stratum: true}\n"
    task = own_task({"train": sums(12), "test": sums(6, 60)}, more)
    drawn = draw_mix(mix(task, test=6))
    shots = drawn.settings["tasks"]["own"]["shots"]
    for query in drawn.queries:
        (shot,) = shots["abbccc"[int(query.gold) % 6]]
        assert query.shots[-1] == Turn("assistant", f"A: {int(shot[-5:])}")
    lonely = own_task({"train": sums(1), "test": sums(6, 60)}, more, name="lonely")
    with pytest.raises(InputError, match=r"task lonely: no worked example of 'b'; set shots.same_stratum: false"):
        draw_mix(mix(lonely, test=6))


def test_what_is_split_out_of_a_public_test_file_is_dev_only(own_task, sums):
    task = own_task({"train": sums(9), "test": sums(9, 50)})
    assert draw_mix(mix(task, train=3, test=3)).settings["tasks"]["own"]["dev_only"] == []
    split = draw_mix(mix(task, validation=3, test=3, splits={"validation": "test"}))
    assert split.settings["tasks"]["own"]["dev_only"] == ["validation", "test"]
    assert split.settings["tasks"]["own"]["drawn_from"] == {"validation": "test", "test": "test"}


def test_two_tasks_are_each_judged_by_their_own(own_task, sums):
    one, two = (own_task({"train": [], "test": sums(3, 50 * k)}, name=name) for k, name in enumerate(("one", "two")))
    drawn = draw_mix(MixConfig({str(task): Share(test=3) for task in (one, two)}))
    order = [drawn.queries[row] for row in (0, 3, 1, 4, 2, 5)]
    verdicts = drawn.grader([f"it is {query.gold}" for query in order[:-1]] + ["no"], order)
    assert [verdict.quality for verdict in verdicts] == [1, 1, 1, 1, 1, 0]
    for task, name in ((one, "one"), (two, "two")):
        ((_, ids),) = load_object(f"{task.parent / 'own.py'}:grade").__globals__["seen"]
        assert ids == [query.id for query in drawn.queries if query.task == name]


def test_bad_mixes_are_named(own_task, sums, tmp_path):
    task = own_task({"train": sums(3), "test": sums(3, 50)})
    twice = MixConfig({str(task): Share(test=1), f"{task.parent}/./task.yaml": Share(test=1)})
    with pytest.raises(InputError, match="two tasks of the mix are named 'own'"):
        draw_mix(twice)
    with pytest.raises(InputError, match="asks for no query"):
        draw_mix(mix(task))
    with pytest.raises(InputError, match="no such split; its splits are train, test"):
        draw_mix(mix(task, test=1, splits={"test": "dev"}))
    with pytest.raises(InputError, match=r"arc/test.parquet: no such file"):
        draw_mix(MixConfig({"arc": Share(test=1)}), tmp_path)
    with pytest.raises(InputError, match="'gms8k' is no task; did you mean gsm8k"):
        load_task("gms8k")
    (tmp_path / "task.yaml").write_text(task.read_text() + "shots: {cuont: 1}\n")
    with pytest.raises(InputError, match=r"shots.cuont is not a field; did you mean count\?"):
        load_task(str(tmp_path / "task.yaml"))
    (tmp_path / "mix.yaml").write_text("tasks: {gsm8k: {train: 1, tests: 1}}\n")
    with pytest.raises(InputError, match=r"tasks.gsm8k.tests is not a field; did you mean test\?"):
        load_mix(str(tmp_path / "mix.yaml"))
    with pytest.raises(InputError, match="'arc' is not in the mix"):
        mix(task).only(("arc",), None)


def test_files_that_are_none_are_named(own_task):
    task = own_task({"train": [{"question": "?"}], "test": []})
    with pytest.raises(InputError, match=r"task own, split train, row 0: column 'gold' is missing"):
        draw_mix(mix(task, train=1))
    with pytest.raises(InputError, match="task own, split test: "):
        draw_mix(mix(task, test=1))
    (task.parent / "test.jsonl").write_text("{not json\n")
    with pytest.raises(InputError, match=r"task own, split test: .*row 0: not valid JSON"):
        draw_mix(mix(task, test=1))


def test_the_local_copies_give_a_mix_of_six(benchmarks, monkeypatch):
    monkeypatch.setattr("hierrouter_jax.bridge.tasks.mix.make_grader", lambda *_: None)
    drawn = draw_mix(load_mix("mix/test-files.yaml"), benchmarks)
    splits = {split: {q.group for q in drawn.queries if q.split == split} for split in ("train", "validation", "test")}
    assert not splits["train"] & splits["test"]
    assert not splits["train"] & splits["validation"]
    assert not splits["validation"] & splits["test"]
    labelled = [name for name, task in drawn.settings["tasks"].items() if task["dev_only"]]
    assert labelled == ["math", "mbpp", "humaneval", "arc", "mmlu"]
    subjects = Counter(q.text.partition("Question (")[2].partition(")")[0] for q in drawn.queries if q.task == "mmlu")
    assert len(subjects) > 20


def test_a_question_in_two_orders_is_one_group(benchmarks):
    """ARC twice: the same questions of the same splits, the right option moved by one place."""
    arc = Share(train=6, test=4, splits={"train": "test"}, orders=2)
    drawn = draw_mix(MixConfig({"arc": arc}), benchmarks)
    by_group: dict[str, list] = {}
    for query in drawn.queries:
        by_group.setdefault(query.group, []).append(query)
    assert len(by_group) == 10
    for first, *rest in by_group.values():
        assert [other.id for other in rest] in ([], [f"{first.id}-order2"])
        assert all(other.split == first.split and other.gold != first.gold for other in rest)
        assert [first.question, *(other.question for other in rest)] == ["", *[first.id] * len(rest)]
    assert sum(len(queries) == 2 for queries in by_group.values()) >= 8
    assert drawn.settings["tasks"]["arc"]["orders"] == 2
