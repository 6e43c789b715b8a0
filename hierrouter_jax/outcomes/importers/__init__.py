"""Outcomes that others published, as outcome tables."""

from hierrouter_jax.outcomes.importers.build import ImportOptions, build_table
from hierrouter_jax.outcomes.importers.formats import FORMATS, read_format

__all__ = ["FORMATS", "ImportOptions", "build_table", "read_format"]
