"""Graders: the quality of answering a query with a response."""

from hierrouter_jax.bridge.grading.verdict import Grader, Verdict, exact_match, one_by_one

__all__ = ["Grader", "Verdict", "exact_match", "one_by_one"]
