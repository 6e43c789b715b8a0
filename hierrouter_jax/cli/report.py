"""The verb `report`: the page of what other verbs wrote."""

from dataclasses import dataclass
from pathlib import Path

from hierrouter_jax.files import existing


@dataclass(frozen=True)
class ReportConfig:
    """What a report is about.

    Attributes:
      runs: a run folder (evaluated), the folder of a comparison, leaderboard, sweep, estimate or loop, or several run
        folders.
      out: folder of the report of several runs; that of one folder goes into it.
      query: id of the query whose hop tree is drawn; by default one that the router repairs.
      a: policy held against --b query by query, of the first run; by default its most accurate router.
      b: policy of the second run, or of the only one.
      table: folder of the outcome table, if it is no longer where the run found it.
    """

    runs: tuple[Path, ...]
    out: Path | None = None
    query: str | None = None
    a: str | None = None
    b: str | None = None
    table: Path | None = None

    @property
    def written(self) -> Path | None:
        return self.out or existing(self.runs[0])


def report(config: ReportConfig) -> None:
    """Write the report page, figures and numbers of a run, of several runs, or of what another verb wrote."""
    from hierrouter_jax.report.build import build_page

    print(build_page(config.runs, config.out, config.query, config.a, config.b, config.table))
