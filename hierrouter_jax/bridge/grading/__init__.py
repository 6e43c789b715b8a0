"""Graders: the quality of answering a query with a response."""

from hierrouter_jax.bridge.grading.adapter import one_by_one
from hierrouter_jax.bridge.grading.exact import exact_match
from hierrouter_jax.bridge.grading.verdict import Grader, Verdict

__all__ = ["Grader", "Verdict", "exact_match", "one_by_one"]
