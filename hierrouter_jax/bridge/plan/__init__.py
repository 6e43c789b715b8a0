"""Planning: what a collection would take, before any model is loaded."""

from hierrouter_jax.bridge.plan.assumptions import Assumptions, Rate, StatedSize, load_assumptions
from hierrouter_jax.bridge.plan.measured import Measured, MeasuredCalls, read_measured
from hierrouter_jax.bridge.plan.plan import Load, Plan, PlannedCalls, plan_collection
from hierrouter_jax.bridge.plan.questions import Questions, mix_questions, query_questions
from hierrouter_jax.bridge.plan.trees import PartialTrees

__all__ = [
    "Assumptions",
    "Load",
    "Measured",
    "MeasuredCalls",
    "PartialTrees",
    "Plan",
    "PlannedCalls",
    "Questions",
    "Rate",
    "StatedSize",
    "load_assumptions",
    "mix_questions",
    "plan_collection",
    "query_questions",
    "read_measured",
]
