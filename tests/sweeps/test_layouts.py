"""Which layout a sweep runs under: the simplest about as fast as the fastest, and none that may hang without a word."""

from hierrouter_jax.sweeps import layouts
from hierrouter_jax.sweeps.layouts import chosen_layout, chunk_size
from hierrouter_jax.sweeps.members import Plan, Splits, updates_per_second
from hierrouter_jax.training.features import fit_features
from tests.sweeps.sweep_run import EXACT, HYPERS, TABLE


def test_a_vmapped_chunk_is_a_power_of_two_and_others_are_trained_in_turn():
    assert [chunk_size("vmap", members) for members in (1, 2, 3, 5, 8, 9, 1000)] == [1, 2, 4, 8, 8, 8, 8]
    assert chunk_size("map", 1000) == chunk_size("processes", 1000) == 1


def test_the_fastest_layout_is_chosen_and_said_in_one_line(monkeypatch, capsys):
    features = fit_features(TABLE.split("train"), 6)
    splits = Splits(*[features.on_device(TABLE.split(name)) for name in ("train", "validation", "test")])
    plan = Plan((EXACT,), HYPERS, (0,))
    rate = updates_per_second(EXACT, plan.hyper(0), splits.train, "map", 1)
    assert 1 < rate < 1e6
    with chosen_layout(splits, plan, 4) as (layout, workers):  # too small to be timed
        assert (layout, workers) == ("map", None)
    assert capsys.readouterr().err == ""
    rates = {"map": 30.0, "vmap": 40.0}
    monkeypatch.setattr(layouts, "_WORTH_MEASURING", 0)
    monkeypatch.setattr(layouts, "updates_per_second", lambda static, hyper, table, layout, runs: rates[layout])
    monkeypatch.setattr(layouts, "cores", lambda: (0,))
    monkeypatch.setenv("NPROC", "4")
    with chosen_layout(splits, plan, 4) as (layout, workers):
        assert (layout, workers) == ("vmap", None)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["layout vmap (updates/s of all members together: map 30, vmap 40)"]
    monkeypatch.delenv("NPROC")  # vmapped runs may hang on one thread
    with chosen_layout(splits, plan, 4) as (layout, workers):
        assert (layout, workers) == ("map", None)
    monkeypatch.setenv("NPROC", "4")
    rates |= {"map": 39.0}  # about as fast, and simpler
    with chosen_layout(splits, plan, 4) as (layout, workers):
        assert (layout, workers) == ("map", None)
    rates["map"] = 5.0  # one run fills the machine
    with chosen_layout(splits, plan, 4) as (layout, workers):
        assert (layout, workers) == ("map", None)


def test_who_asks_for_a_layout_that_may_hang_is_warned(monkeypatch, capsys):
    monkeypatch.setattr(layouts, "cores", lambda: (0, 1))
    monkeypatch.delenv("NPROC", raising=False)
    for layout, warned in (("vmap", True), ("devices-vmap", True), ("map", False), ("processes", False)):
        layouts.warn_of_vmap(layout)
        assert capsys.readouterr().err.startswith(f"warning: layout {layout} may hang") == warned
    monkeypatch.setenv("NPROC", "many")  # which XLA passes over too
    assert layouts.vmap_may_hang()
    monkeypatch.setenv("NPROC", "4")
    layouts.warn_of_vmap("vmap")
    assert capsys.readouterr().err == ""
