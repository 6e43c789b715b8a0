"""Forecasts: what a collection would take, before any model is loaded."""

from hierrouter_jax.bridge.forecast.assumptions import Assumptions, Rate, StatedSize, load_assumptions
from hierrouter_jax.bridge.forecast.forecast import CallsForecast, Forecast, Load, forecast_collection
from hierrouter_jax.bridge.forecast.measured import Measured, MeasuredCalls, read_measured
from hierrouter_jax.bridge.forecast.questions import PartialTrees, Questions, mix_questions, query_questions

__all__ = [
    "Assumptions",
    "CallsForecast",
    "Forecast",
    "Load",
    "Measured",
    "MeasuredCalls",
    "PartialTrees",
    "Questions",
    "Rate",
    "StatedSize",
    "forecast_collection",
    "load_assumptions",
    "mix_questions",
    "query_questions",
    "read_measured",
]
