"""Which page a folder gets, and which options belong to it."""

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.report.build import build_page
from tests.training.run_folder_fixture import build_run_folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "elsewhere"}, "--out is elsewhere, but .* is a single run"),
        ({"query": "test-0001"}, "config.yaml"),
        ({"b": "ppo"}, "config.yaml"),
    ],
)
def test_what_a_run_cannot_give_is_one_sentence(tmp_path, options, words):
    folder = build_run_folder(tmp_path / "run", seeds=1)
    with pytest.raises(InputError, match=words):
        build_page([folder], **options)


def test_several_runs_need_a_folder(tmp_path):
    with pytest.raises(InputError, match="give one by --out"):
        build_page([tmp_path, tmp_path])


@pytest.mark.parametrize(
    ("mark", "kind"), [("compare.json", "comparison"), ("leaderboard.json", "leaderboard"), ("sweep.json", "sweep")]
)
def test_a_folder_is_told_by_its_file(tmp_path, mark, kind):
    (tmp_path / mark).write_text("{}")
    with pytest.raises(InputError, match=f"--query is q1, but .* is a single {kind}, whose report has no such option"):
        build_page([tmp_path], query="q1")
