"""Self-contained pages that show a run, several runs, a comparison or a sweep."""

from hierrouter_jax.experiments.report.page import build_report, build_run_page

__all__ = ["build_report", "build_run_page"]
