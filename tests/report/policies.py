"""A policy without a router behind it."""

import numpy as np


def random_policy(seed, table):
    """Random legal probabilities [Q, D, A] of a policy that may stop once there is an answer."""
    tree, rng = table.tree, np.random.default_rng(seed)
    logits = rng.normal(0, 2, (table.num_queries, tree.num_decision_nodes, tree.num_models + 1))
    logits[:, 0, -1] = -np.inf
    children = tree.child(np.arange(tree.num_decision_nodes)[:, None], np.arange(tree.num_models))
    logits[..., :-1][~table.available[:, children]] = -np.inf
    logits[..., -1][~table.available[:, children].any(axis=-1)] = 0.0
    weights = np.exp(logits)
    return weights / weights.sum(axis=-1, keepdims=True)
