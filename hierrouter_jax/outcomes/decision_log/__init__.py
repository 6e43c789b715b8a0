"""The decision log: what a served policy read, chose and got, one record a decision, written as it serves."""

from hierrouter_jax.outcomes.decision_log.folder import LogCounts
from hierrouter_jax.outcomes.decision_log.parts import write_log
from hierrouter_jax.outcomes.decision_log.propensities import PropensityCheck, propensity_check, replay
from hierrouter_jax.outcomes.decision_log.reader import DecisionLog, read_log
from hierrouter_jax.outcomes.decision_log.record import Decision, FailedCall
from hierrouter_jax.outcomes.decision_log.writer import LogOptions, LogWriter

__all__ = [
    "Decision",
    "DecisionLog",
    "FailedCall",
    "LogCounts",
    "LogOptions",
    "LogWriter",
    "PropensityCheck",
    "propensity_check",
    "read_log",
    "replay",
    "write_log",
]
