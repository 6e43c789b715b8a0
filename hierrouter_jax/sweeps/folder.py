"""A sweep on disk: what it is, and its finished chunks, so that it goes on where it was cut off."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hierrouter_jax._version import __version__
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.claims import SOURCES, claim
from hierrouter_jax.config import from_dict, to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, replacing, write_json
from hierrouter_jax.plugins import digests
from hierrouter_jax.sums import begin_sums, check_sum
from hierrouter_jax.sweeps.draws import stack
from hierrouter_jax.sweeps.members import Plan, Trained
from hierrouter_jax.training.run_folder import machine
from hierrouter_jax.training.settings import numbers, with_numbers

SCHEMA_VERSION = 2
HEADER, FRAME, CHUNKS = "sweep.json", "sweep.parquet", "chunks"


class Finished:
    """What finished members left: their scores, curves and parameters, kept in memory or in files of a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._kept: dict[Path, Trained] = {}
        self._place: dict[int, tuple[Path, int]] = {}
        self._scores: list[dict[str, np.ndarray]] = []
        for path in sorted(folder.glob("[0-9]*.safetensors")) if folder else ():
            members, scores = _read_scores(path)
            self._note(path, members, scores)

    def add(self, members: np.ndarray, trained: Trained) -> None:
        """Keep a chunk, durably where there is a folder."""
        path = (self._folder or Path()) / f"{members[0]:06d}.safetensors"
        if self._folder is None:
            self._kept[path] = trained
        else:
            params = {f"params/{name}": leaf for name, leaf in flatten_dict(trained.params, sep="/").items()}
            scores = {f"scores/{name}": leaf for name, leaf in trained.scores.items()}
            curves = {f"curves/{name}": leaf for name, leaf in trained.curves.items()}
            arrays = {name: np.array(leaf, order="C") for name, leaf in (params | scores | curves).items()}
            with replacing(path) as temporary:
                save_file(arrays | {"member": np.asarray(members, np.int64)}, temporary)
        self._note(path, members, trained.scores)

    def __contains__(self, member: int) -> bool:
        return member in self._place

    def __len__(self) -> int:
        return len(self._place)

    def scores(self) -> dict[str, np.ndarray]:
        """Every score of all finished members, in their order; `member` says which they are."""
        if not self._scores:
            return {"member": np.zeros(0, np.int64)}
        together = {name: np.concatenate([part[name] for part in self._scores]) for name in self._scores[0]}
        order = np.argsort(together["member"])
        return {name: column[order] for name, column in together.items()}

    def params(self, member: int) -> Any:
        """The best parameters of a finished member."""
        path, row = self._place[member]
        if path in self._kept:
            return jax.tree.map(lambda leaf: leaf[row], self._kept[path].params)
        return unflatten_dict(_read_row(path, row, "params/"), sep="/")

    def curves(self, member: int) -> dict[str, np.ndarray]:
        """What a finished member's `Trained.curves` holds."""
        path, row = self._place[member]
        if path in self._kept:
            return {name: leaf[row] for name, leaf in self._kept[path].curves.items()}
        return _read_row(path, row, "curves/")

    def _note(self, path: Path, members: np.ndarray, scores: dict[str, np.ndarray]) -> None:
        self._place |= {int(member): (path, row) for row, member in enumerate(members)}
        self._scores.append({"member": np.asarray(members), **scores})


def describe(plan: Plan, data: dict[str, Any]) -> dict[str, Any]:
    """What a sweep is, as plain data; a number that all members share stands alone.

    Args:
      data: what tells its table, features and split from others.
    """
    hypers = {name: leaf.tolist() for name, leaf in numbers(plan.hypers).items()}
    paths = [name for static in plan.statics for name in (static.network, static.algorithm)]
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        **data,
        "statics": {str(group): to_dict(static) for group, static in enumerate(plan.statics)},
        SOURCES: digests(*paths, *plan.hypers.reward.custom),
        "hypers": {name: leaf[0] if len(set(leaf)) == 1 else leaf for name, leaf in hypers.items()},
        "points": plan.points,
        "seeds": list(plan.seeds),
        "members": len(plan),
    }


def planned(header: dict[str, Any], path: Path) -> Plan:
    """The plan that `describe` described."""
    leaves = {"guidance": 0.0} | header["hypers"]  # a sweep of before there was guidance trained without it
    points = {name: np.broadcast_to(value, header["points"]) for name, value in leaves.items()}
    statics = tuple(from_dict(LearnerStatic, static, path) for static in header["statics"].values())
    return Plan(statics, stack(with_numbers(LearnerHyper(), points)), tuple(header["seeds"]))


def read_header(folder: Path) -> dict[str, Any]:
    """What a sweep's folder says that it holds.

    Raises:
      InputError: if it is no sweep, or one of another schema.
    """
    header = read_json(folder / HEADER)
    if header.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{folder / HEADER}: schema_version is {header.get('schema_version')!r}, "
            f"but this version reads {SCHEMA_VERSION}"
        )
    return header


def begin(folder: Path, description: dict[str, Any], more: dict[str, Any]) -> Finished:
    """Open a folder for a sweep: a new one, or the same sweep's, whose finished members are taken over.

    Raises:
      InputError: if it holds another sweep, naming the field that differs.
    """
    there = read_header(folder) if (folder / HEADER).exists() else None
    same = there and {name: value for name, value in there.items() if name in description}
    if not claim(folder, "sweep", same, description):
        begin_sums(folder)
        write_json(folder / HEADER, description | more)
    return Finished(folder / CHUNKS)


def keep_layout(folder: Path, layout: str) -> None:
    """Note what a sweep runs under: going on under another would round differently."""
    write_json(folder / HEADER, read_header(folder) | {"layout": layout})


def kept_layout(folder: Path) -> Any:
    """What the sweep ran under so far; None where it has not started."""
    return read_header(folder).get("layout")


def write_result(folder: Path, frame: pd.DataFrame, trained: int, seconds: float, layout: str | None) -> None:
    """The frame; and beside what the sweep is, how its last run went, unless nothing was left to train."""
    with replacing(folder / FRAME) as temporary:
        frame.to_parquet(temporary, index=False)
    if trained:
        last = {"trained": trained, "seconds": round(seconds, 2), "layout": layout, "machine": machine()}
        write_json(folder / HEADER, read_header(folder) | {"last_run": last})


def _read_row(path: Path, row: int, prefix: str) -> dict[str, np.ndarray]:
    with safe_open(path, framework="np") as file:
        names = [name for name in sorted(file.keys()) if name.startswith(prefix)]
        return {name.removeprefix(prefix): file.get_slice(name)[row] for name in names}


def _read_scores(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    try:
        check_sum(path)
        with safe_open(path, framework="np") as file:
            names = [name for name in sorted(file.keys()) if name.startswith("scores/")]
            return file.get_tensor("member"), {name.removeprefix("scores/"): file.get_tensor(name) for name in names}
    except (SafetensorError, InputError) as error:
        raise InputError(
            f"{path}: not a finished chunk ({error}); remove it, and its members are trained again"
        ) from None
