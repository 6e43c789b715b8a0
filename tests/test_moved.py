"""Names that the package had before are answered with those that it has now."""

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import hierrouter_jax as hr
from hierrouter_jax.errors import InputError
from hierrouter_jax.moved import moved, renamed


@pytest.mark.parametrize("old", moved())
def test_a_module_that_has_moved_is_answered_with_its_new_place(old):
    assert find_spec(f"hierrouter_jax.{moved()[old]}"), f"{moved()[old]} is not there"
    with pytest.raises(ImportError) as caught:
        import_module(f"hierrouter_jax.{old}")
    assert str(caught.value) == f"hierrouter_jax.{old} is now hierrouter_jax.{moved()[old]}"


def test_every_way_to_import_an_old_name_says_the_new_one():
    with pytest.raises(ImportError, match=r"hierrouter_jax.experiments.train is now hierrouter_jax.training.train"):
        from hierrouter_jax.experiments.train import TrainConfig  # noqa: F401
    with pytest.raises(ImportError, match=r"experiments.sweep is now hierrouter_jax.sweeps.sweep"):
        from hierrouter_jax.experiments import sweep  # noqa: F401
    with pytest.raises(ImportError, match=r"experiments.compare is now hierrouter_jax.studies.compare"):
        import_module("hierrouter_jax.experiments.compare.config")
    with pytest.raises(ImportError, match=r"hierrouter_jax.search is now hierrouter_jax.sweep"):
        from hierrouter_jax import search  # noqa: F401
    with pytest.raises(AttributeError, match=r"hierrouter_jax.search is now hierrouter_jax.sweep"):
        hr.search  # noqa: B018


def test_an_empty_folder_of_an_older_checkout_is_no_package(tmp_path):
    (tmp_path / "experiments" / "__pycache__").mkdir(parents=True)
    (tmp_path / "nothing").mkdir()
    code = f"""
import hierrouter_jax
hierrouter_jax.__path__.append({str(tmp_path)!r})
import hierrouter_jax.nothing
try:
    import hierrouter_jax.experiments.train
except ImportError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "hierrouter_jax.experiments.train is now hierrouter_jax.training.train\n"


def test_what_never_was_is_as_python_says_it():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'hierrouter_jax.nothing'"):
        import_module("hierrouter_jax.nothing")
    assert find_spec("hierrouter_jax.nothing") is None
    assert renamed("nothing") == "module 'hierrouter_jax' has no attribute 'nothing'"


def test_the_function_that_sweep_was_is_answered_with_train_many():
    for arguments in (("table", "static", "hypers", 3), ("table",)):
        with pytest.raises(InputError, match=r"sweep takes a SweepConfig; .* are trained by train_many"):
            hr.sweep(*arguments)


@pytest.mark.parametrize("first", ["hierrouter_jax.report.pages.run", "hierrouter_jax"])
def test_a_module_with_the_name_of_a_verb_is_called_as_the_verb(first):
    code = f"""
from unittest.mock import patch
import {first}
import hierrouter_jax as hr
import hierrouter_jax.report.build, hierrouter_jax.quickstart
with patch("hierrouter_jax.report.build.build_page", lambda *runs, out: (runs, out)):
    assert hr.report("a", out="b") == (("a",), "b")
with patch("hierrouter_jax.quickstart.run_quickstart", lambda config: config):
    assert hr.quickstart(3) == 3
assert hr.report.build.build_page and hr.quickstart.run_quickstart
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_type_checkers_see_the_public_names_that_there_are():
    stub = ast.parse(Path(hr.__file__).with_suffix(".pyi").read_text())
    names = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    names |= {ast.unparse(node.targets[0]) for node in stub.body if isinstance(node, ast.Assign)}
    assert {name for name in names if name[0] != "_" or name == "__version__"} == set(hr.__all__)
