"""Reward shapings, learners or networks compared over seeds and cost weights, by the rules of honest evaluation.

`run.compare` makes one of a `config.CompareConfig`. Nothing is imported here, so that a configuration needs no JAX.
"""
