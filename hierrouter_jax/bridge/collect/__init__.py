"""Collection: a pool run once over the routes of a set of queries, into an outcome table."""

from hierrouter_jax.bridge.collect.budget import Budget, BudgetReached, Meter
from hierrouter_jax.bridge.collect.calls import Calls, CallsFailed
from hierrouter_jax.bridge.collect.collection import Collection, collect

__all__ = ["Budget", "BudgetReached", "Calls", "CallsFailed", "Collection", "Meter", "collect"]
