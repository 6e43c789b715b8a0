"""Partial trees: which hops of the training queries are worth their calls."""
