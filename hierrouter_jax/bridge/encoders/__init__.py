"""Encoders: what turns a context into the embedding that the router reads; chosen by a spec that travels in tables."""

from hierrouter_jax.bridge.encoders.build import build_encoder, same_spec, whole_spec
from hierrouter_jax.bridge.encoders.parts import TASK, Encoder, count_truncated, embed_table

__all__ = ["TASK", "Encoder", "build_encoder", "count_truncated", "embed_table", "same_spec", "whole_spec"]
