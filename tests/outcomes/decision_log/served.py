"""Decisions as a service makes them, without one."""

import numpy as np

from hierrouter_jax.outcomes.decision_log import Decision

POOL = ("small", "medium", "large")


def decision(episode="one", stage=0, **changes):
    """A decision between three models and STOP, drawn as `medium`."""
    fields = {
        "episode_id": episode,
        "stage": stage,
        "request_time": 1_700_000_000.25,
        "policy": "policy-1",
        "table": "table-1",
        "candidates": POOL,
        "mask": [True, True, True, stage > 0],
        "probs": [0.2, 0.5, 0.3, 0.0],
        "action": 1,
        "explore": "softmax:0.1",
        "encoder": {"kind": "ngrams", "size": 3},
        "embedding": np.array([0.1, -2.0, 3.5], dtype=np.float32),
        "spent": 0.0,
        "max_hops": 3,
    }
    return Decision(**fields | changes)


def ids(log):
    """Ids of a log's episodes, once a decision."""
    return log.rows["episode_id"].to_pylist()
