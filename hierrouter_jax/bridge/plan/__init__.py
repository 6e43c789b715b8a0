"""Planning: what a collection would take, before any model is loaded."""

from hierrouter_jax.bridge.plan.assumptions import Assumptions, StatedSize, load_assumptions
from hierrouter_jax.bridge.plan.plan import Load, Plan, PlannedCalls, plan_collection
from hierrouter_jax.bridge.plan.questions import Questions, mix_questions, query_questions
from hierrouter_jax.bridge.plan.trees import PartialTrees

__all__ = [
    "Assumptions",
    "Load",
    "PartialTrees",
    "Plan",
    "PlannedCalls",
    "Questions",
    "StatedSize",
    "load_assumptions",
    "mix_questions",
    "plan_collection",
    "query_questions",
]
