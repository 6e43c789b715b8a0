"""Reward shapings, learners or networks compared over seeds and cost weights, by the rules of honest evaluation."""

from hierrouter_jax.studies.compare.config import Arm, Base, CompareConfig, Tuning
from hierrouter_jax.studies.compare.run import compare

__all__ = ["Arm", "Base", "CompareConfig", "Tuning", "compare"]
