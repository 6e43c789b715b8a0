"""One self-contained page that shows a run."""

from hierrouter_jax.experiments.report.page import build_report

__all__ = ["build_report"]
