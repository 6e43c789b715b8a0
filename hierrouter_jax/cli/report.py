"""The verb that makes pages of what other verbs wrote: report."""

from pathlib import Path

from hierrouter_jax.files import existing
from hierrouter_jax.report.build import build_page

SEVERAL = {"report": "runs"}  # verb: the argument that takes one or more values
# The folder that is written: several runs have one of their own.
WRITES = {"report": lambda options: options["out"] or existing(options["runs"][0])}


def report(
    runs: list[Path],
    out: Path | None = None,
    query: str | None = None,
    a: str | None = None,
    b: str | None = None,
    table: Path | None = None,
) -> None:
    """Write the report page, figures and numbers of a run, of several runs, of a comparison or of a sweep.

    Args:
      runs: a run folder (evaluated), the folder of a comparison or a sweep, or several run folders.
      out: folder of the report of several runs; that of one folder goes into it.
      query: id of the query whose hop tree is drawn; by default one that the router repairs.
      a: policy held against --b query by query, of the first run; by default its most accurate router.
      b: policy of the second run, or of the only one.
      table: outcome table, if it is no longer where the run found it.
    """
    print(build_page(runs, out, query, a, b, table))
