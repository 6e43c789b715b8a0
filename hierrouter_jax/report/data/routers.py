"""What only a run's routers and its outcome table tell: the hop tree of a query, and two policies query by query."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from markupsafe import Markup
from matplotlib import rc_context

from hierrouter_jax.config import load_yaml
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import ending_at, policy_outcome
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.hop_tree import QueryTree, query_tree, telling_query
from hierrouter_jax.report.data.run import RunFiles
from hierrouter_jax.report.data.transcripts import choices
from hierrouter_jax.report.figures.hop_tree import tree_context, tree_figure
from hierrouter_jax.report.figures.palette import STYLE, to_svg
from hierrouter_jax.report.figures.paper import DOUBLE, paper_files
from hierrouter_jax.studies.evaluate import opponents, problem_of
from hierrouter_jax.training.checkpoints import load_routers
from hierrouter_jax.training.router import TrainedRouter, router_cost

_PAGE_WIDTH = 920


@dataclass(frozen=True)
class Picture:
    """A section's part of a site: what its template prints, its rows, and its figures' files."""

    context: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)


class Inside:
    """A run's routers on the split that its evaluation is of.

    Raises:
      InputError: if the outcome table or the routers are not where the run says, or the table is another one.
    """

    def __init__(self, run: Path, files: RunFiles, table: Path | None = None) -> None:
        self.run, self.files = run, files
        recorded = load_yaml(run / "config.yaml").get("table")
        path = table or (Path(recorded) if recorded else run / "table")
        self.table = load_table(path)
        told = files.evaluation["table"].get("fingerprint")
        if told is not None and told != self.table.fingerprint:
            raise InputError(
                f"{path}: has fingerprint {self.table.fingerprint}, but {run} was evaluated on the table {told}"
            )
        self.part = self.table.split(files.evaluation["table"]["split"])

    @cached_property
    def routers(self) -> dict[str, TrainedRouter]:
        return load_routers(self.run, self.table)

    @property
    def best(self) -> str:
        """The most accurate learned router of the evaluation."""
        learned = [row["name"] for row in formats.deployable(self.files.evaluation) if row["kind"] == "learned"]
        return next(name for name in [*learned, *self.routers] if name in self.routers)

    def ends(self, name: str) -> Int[np.ndarray, " Q"]:
        """Where a policy of the evaluation answers each query of the split.

        Raises:
          InputError: if the run evaluated no such policy, or it answers at random.
        """
        if name in self.routers:
            return choices(self.routers[name], self.part).ends
        fixed = self._opponents
        if name not in fixed:
            raise InputError(f"{self.run}: has no policy {name!r}; it has {', '.join([*self.routers, *fixed])}")
        return fixed[name]

    def cost(self, name: str, ends: Int[np.ndarray, " Q"]) -> np.ndarray:
        """Money spent on each query, with what deciding costs a learned router, as in the evaluation."""
        outcome = policy_outcome(self.part, ending_at(ends, self.part.tree))
        router = self.routers.get(name)
        return outcome.cost if router is None else outcome.cost + router_cost(router, outcome, self.table)

    @cached_property
    def _opponents(self) -> dict[str, Int[np.ndarray, " Q"]]:
        router = next(iter(self.routers.values()))
        weight = router.hyper.reward.hop_cost / router.features.cost_normaliser
        entries = opponents(self.part, problem_of(self.table, router.features, weight))
        return {entry.name: entry.ends.argmax(axis=1) for entry in entries if entry.kind != "random"}

    def tree(self, query: str | None = None, router: str | None = None) -> QueryTree:
        """The hop tree of a query of the table, by default of one of the split that shows a repair.

        Raises:
          InputError: if the table has no such query, or the run no such router.
        """
        name = router or self.best
        if name not in self.routers:
            raise InputError(f"{self.run}: has no router {name!r} to draw; it has {', '.join(self.routers)}")
        if query is None:
            part, made = self.part, choices(self.routers[name], self.part)
            row = telling_query(part, made.ends)
        else:
            ids = [one.id for one in self.table.queries]
            if query not in ids:
                raise InputError(f"--query is {query!r}, but the table's ids run from {ids[0]!r} to {ids[-1]!r}")
            part, row = self.table.select(np.array([ids.index(query)])), 0
            made = choices(self.routers[name], part)
        return query_tree(name, part, row, made.probabilities[row], int(made.ends[row]))


def draw_tree(tree: QueryTree, table: OutcomeTable) -> Picture:
    """The picture of a hop tree for the page and for paper."""
    models = list(table.model_names)
    with rc_context(STYLE):
        figure, titles = tree_figure(tree, models, _PAGE_WIDTH)
        svg = Markup(to_svg(figure, f"Hop tree of query {tree.query['id']}", titles))
        files = paper_files({"hop_tree": tree_figure(tree, models, DOUBLE)[0]})
    told = {"router": tree.router, "query_id": tree.query["id"]}
    return Picture(tree_context(tree, svg), [told | vars(branch) for branch in tree.branches], files)
