"""`collect` on tasks and the two task views of `inspect`, as a user runs them; models are programmed."""

import json
import re
from pathlib import Path

import pytest

from hierrouter_jax.bridge.grading.sandbox import sandbox
from hierrouter_jax.bridge.tasks.examples import read_responses
from hierrouter_jax.cli import collection
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.store import load_table, save_table
from tests.bridge.benchmarks import ROOT
from tests.bridge.tasks.conftest import TASK
from tests.tables import random_table

POOL = "prompt: {fold: false}\nmodels: [{name: a, source: none, max_new_tokens: 9, base_rate: 1}]\n"


@pytest.fixture
def pool(tmp_path, monkeypatch, programmed) -> str:
    """Two models in place of the pool's: one repeats the last line but one, one counts lines."""
    models = [programmed("echo", lambda text: text.splitlines()[-1][:50]), programmed("count", lambda text: "42")]
    monkeypatch.setattr(collection, "load_backends", lambda config, servers: models)
    (tmp_path / "pool.yaml").write_text(POOL)
    return str(tmp_path / "pool.yaml")


def refused(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_collect_on_a_task_and_look_at_its_verdicts(own_task, sums, pool, tmp_path, capsys):
    task, out = str(own_task({"train": sums(45), "test": sums(20, 45)})), str(tmp_path / "table")
    counts = ["--counts", "{train: 30, validation: 5, test: 10}"]
    command = ["collect", out, "--tasks", task, *counts, "--pool", pool, "--horizon", "2"]
    assert main(command) == 0
    assert "duplicates among 65 items: 0 exact and 0 near pairs" in capsys.readouterr().out
    table = load_table(out)
    assert {query.split for query in table.queries} == {"train", "validation", "test"}
    right = [query.gold in "42" for query in table.queries]
    assert table.quality[:, 2].tolist() == right
    assert table.details["extracted"][0, 2] == "42"
    assert table.details["reason"][right.index(False), 2] == "wrong: no gold"
    assert table.settings["tasks"]["own"]["counts"] == {"train": 30, "validation": 5, "test": 10}
    assert table.settings["tasks"]["own"]["grader_identity"].startswith("own.py:grade")
    assert table.settings["prompt"]["fold"] is False
    assert sum(table.settings["verdicts"]["own"].values()) == 45 * 6
    assert "\nBe brief." in table.queries[0].text
    assert table.response[0, 1] == "Be brief."
    assert main(["inspect", "--task", task, "--table", out, "--limit", "3", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [judged["by"] for judged in shown[0]["responses"]] == ["echo", "count"]
    assert len(shown) == 3
    assert main(["inspect", "--task", "own", "--table", out, "--limit", "1"]) == 0  # by its name in the table
    assert "own: 1 question shown; verdicts: " in capsys.readouterr().out
    again = load_table(out).fingerprint
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == again
    assert main(["regrade", out]) == 0
    assert "the graders are those of the table: nothing was written" in capsys.readouterr().out


def test_a_pool_that_folds_lines_is_refused(own_task, sums, pool, tmp_path, capsys):
    task = str(own_task({"train": sums(9), "test": sums(9, 20)}))
    Path(pool).write_text(POOL.replace("fold: false", "fold: true"))
    collect = ("collect", str(tmp_path / "t"), "--pool", pool)
    given = ("--tasks", task, "--counts", "{test: 3}")
    assert "set prompt: {fold: false}" in refused(capsys, *collect, *given)
    assert "say which with --tasks or --mix" in refused(capsys, *collect, "--data", ".")
    assert "must name tasks, each once" in refused(capsys, *collect, "--tasks", "arc,arc")
    assert "drop it, or --tasks and --mix" in refused(capsys, *collect, "--tasks", "arc", "--queries", "q.csv")
    assert "'own.yaml' is not in the mix" in refused(capsys, *collect, "--tasks", "own.yaml")
    assert "did you mean gsm8k" in refused(capsys, *collect, "--tasks", "gsm8", "--counts", "{test: 1}")


def test_inspect_shows_prompts_and_verdicts(own_task, sums, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    task = str(own_task({"train": sums(3), "test": sums(8, 20)}, "shots: {count: 1}\n"))
    assert main(["inspect", "--task", task, "--limit", "2"]) == 0
    shown = capsys.readouterr().out
    assert "own: 2 questions shown; verdicts: right 2" in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert main(["inspect", f"--task={task}", "--limit", "1", "--chat"]) == 0
    chat = capsys.readouterr().out
    assert [line.split()[0] for line in chat.splitlines() if re.match(r" \w", line)][:3] == [
        "user",
        "assistant",
        "user",
    ]
    lines = [{"id": f"own-test-{n:05d}", "model": "m", "response": f"{20 + n}\n" * 40 * (n < 6)} for n in range(8)]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    judge = ["inspect", "--task", task, "--responses", str(answers), "--limit", "1"]
    assert main(judge) == 0
    assert "[... 16 lines; --full shows them ...]" in capsys.readouterr().out
    assert main([*judge, "--full"]) == 0
    assert "--full shows" not in capsys.readouterr().out
    one_more = tmp_path / "25.jsonl"
    one_more.write_text(json.dumps({"id": "own-test-00000", "response": "20\n" * 25}))
    assert main(["inspect", "--task", task, "--responses", str(one_more)]) == 0
    assert "--full shows" not in capsys.readouterr().out
    assert main([*judge, "--reason", "wrong", "--json"]) == 0
    (wrong,) = json.loads(capsys.readouterr().out)
    assert wrong["query"]["id"] == "own-test-00006"
    assert wrong["responses"][0]["verdict"]["reason"] == "wrong: no gold"
    capsys.readouterr()
    assert main([*judge, "--reason", "timeout"]) == 0
    told = "own: 0 of 0 with a verdict 'timeout' shown; verdicts of all 8: right 6, wrong 2"
    assert told in capsys.readouterr().out


def test_inspect_refuses(own_task, sums, tmp_path, capsys):
    task = str(own_task({"train": sums(3), "test": sums(3, 20)}))
    view = ("inspect", "--task", task)
    assert "--limit is 0" in refused(capsys, *view, "--limit", "0")
    for option in (["--chat"], ["--split", "test"], ["--data", "d"], ["--shots", "0"], ["--responses", "r"]):
        assert refused(capsys, *view, "--table", "t", *option).endswith(f"verdicts: drop {option[0]}")
    assert "no such split; its splits are train, test" in refused(capsys, *view, "--split", "dev")
    (tmp_path / "r.csv").write_text("id,response\nown-test-9,4\n")
    assert "'own-test-9' is no question of task own" in refused(capsys, *view, "--responses", str(tmp_path / "r.csv"))
    save_table(random_table(queries=4), tmp_path / "table")
    assert "holds no queries of task 'own'" in refused(capsys, *view, "--table", str(tmp_path / "table"))
    (tmp_path / "r.csv").write_text("id,text\nx,4\n")
    with pytest.raises(InputError, match="column 'response' is missing"):
        read_responses(tmp_path / "r.csv")


def test_worked_examples_may_be_asked_for_on_the_command_line(own_task, sums, tmp_path, capsys):
    task = str(own_task({"train": sums(6), "test": sums(3, 20)}))
    assert main(["inspect", "--task", task, "--shots", "2", "--limit", "1", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert len(shown["query"]["shots"]) == 4
    (tmp_path / "own" / "train.jsonl").unlink()
    assert "worked examples: task own, split train: " in refused(capsys, "inspect", "--task", task, "--shots", "2")
    assert "shots is -1" in refused(capsys, "inspect", "--task", task, "--shots", "-1")
    assert "--task and --mix are views of inspect" in refused(capsys, "inspect", "--task", task, "--mix", "m.yaml")


def test_without_a_sandbox_no_model_is_called(own_task, sums, tmp_path, monkeypatch, capsys, programmed):
    model = programmed("a", lambda text: text)
    monkeypatch.setattr(collection, "load_backends", lambda config, servers: [model])
    monkeypatch.setattr(sandbox, "which", lambda name: None)
    (tmp_path / "pool.yaml").write_text(POOL)
    code = TASK.replace("own.py:grade", "hierrouter_jax.bridge.grading.code:CodeGrader")
    task = str(own_task({"train": sums(9), "test": sums(9, 20)}, text=code))
    collect = ["collect", str(tmp_path / "t"), "--tasks", task, "--counts", "{test: 3}", "--pool"]
    sandbox.find_sandbox.cache_clear()
    try:
        assert "no code is run without a sandbox" in refused(capsys, *collect, str(tmp_path / "pool.yaml"))
    finally:
        sandbox.find_sandbox.cache_clear()
    assert not model.asked


def test_inspect_shows_a_mix(own_task, sums, tmp_path, capsys):
    task = own_task({"train": [*sums(6), sums(1)[0]], "test": [*sums(6, 20), *sums(1)]})
    (tmp_path / "mix.yaml").write_text(f"tasks: {{{task}: {{validation: 2, test: 3, splits: {{validation: test}}}}}}\n")
    assert main(["inspect", "--mix", str(tmp_path / "mix.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "dev-only, as split out of a public test file: own" in shown
    assert re.search(r"own +0 +2 +3 +test +dev-only", shown)
    (tmp_path / "mix.yaml").write_text(f"tasks: {{{task}: {{train: 2, test: 3}}}}\n")
    assert main(["inspect", "--mix", str(tmp_path / "mix.yaml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["mix"]["duplicates"]
    assert (found["exact_pairs"], found["pairs_across_files"]) == (2, 2)


def test_the_task_of_ones_own_runs_as_the_documentation_has_it(pool, tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "tasks.md").read_text()
    section = page[page.index("## A task of your own") :]
    monkeypatch.chdir(tmp_path)
    for language in ("yaml", "python"):
        (code,) = re.findall(rf"^```{language}\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
        Path(re.findall(r"# (\S+)", code)[0]).write_text(code)
    names = [("Peru", "Lima", "America"), ("Kenya", "Nairobi", "Africa"), ("Chad", "N'Djamena", "Africa")] * 10
    rows = [{"country": f"{c} {n}", "capital": t, "continent": k} for n, (c, t, k) in enumerate(names)]
    Path("capitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    inspect = re.findall(r"^hierrouter (inspect .*)$", section, flags=re.MULTILINE)[0].split()
    assert main([*inspect, "--limit", "9"]) == 0
    assert "capitals: 9 questions shown; verdicts: right 9" in capsys.readouterr().out
    counts = "{train: 12, validation: 4, test: 4}"
    assert main(["collect", "t", "--tasks", "capitals.yaml", "--counts", counts, "--pool", pool, "--horizon", "1"]) == 0
    assert load_table("t").settings["tasks"]["capitals"]["dev_only"] == []


def test_many_answers_are_graded_once(own_task, sums, tmp_path, monkeypatch, capsys):
    task = str(own_task({"train": sums(3), "test": sums(8, 20)}))
    monkeypatch.setattr("hierrouter_jax.cli.inspect_tasks._FEW", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    view = ["inspect", "--task", task, "--reason", "right", "--json"]
    assert main(view) == 0
    first = capsys.readouterr()
    assert "grading" in first.err
    with monkeypatch.context() as patch:  # the second time nothing is graded, so no process is started
        patch.setattr("hierrouter_jax.bridge.grading.parallel._Worker", None)
        assert main(view) == 0
    assert capsys.readouterr().out == first.out


def test_worked_examples_reach_the_models_as_turns_and_the_router_not_at_all(
    own_task, sums, tmp_path, monkeypatch, programmed
):
    class Chatty(programmed):
        """Answers with the number of turns that it is shown; a token is a turn."""

        def count_tokens(self, prompts):
            return [1 if isinstance(prompt, str) else len(prompt) for prompt in prompts]

        def generate(self, prompts):
            self.asked.append(list(prompts))
            return [self.answer(str(count)) for count in self.count_tokens(prompts)]

    model = Chatty("chatty", lambda text: text)
    monkeypatch.setattr(collection, "load_backends", lambda config, servers: [model])
    (tmp_path / "pool.yaml").write_text(POOL)
    task = str(own_task({"train": sums(12), "test": sums(8, 20)}, "shots: {count: 2}\n"))
    given = ["--tasks", task, "--counts", "{train: 4, validation: 2, test: 2}", "--pool", str(tmp_path / "pool.yaml")]
    assert main(["collect", str(tmp_path / "table"), *given, "--horizon", "1"]) == 0
    table = load_table(tmp_path / "table")
    assert set(table.response[:, 1]) == {"5"}  # two questions with their answers, then the question
    ((first, *_),) = model.asked
    assert [turn.role for turn in first] == ["user", "assistant", "user", "assistant", "user"]
    texts = {query.text for query in table.queries}
    assert {prompt[-1].content.strip() for prompt in model.asked[0]} == {text.strip() for text in texts}
    assert all(query.shots == table.queries[0].shots for query in table.queries)
