"""Routers whose members are behind programmed endpoints."""

from collections.abc import Callable, Sequence

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.serve.router import Router
from tests.bridge.endpoints import FakeServer


def endpoint_router(
    servers: Sequence[FakeServer], make_bundle: Callable[..., PolicyBundle], horizon: int = 3, **endpoint
) -> Router:
    """A router of one chat member a server, named m0, m1, ..., with a policy of random weights."""
    models = [
        ModelConfig(
            f"m{place}",
            kind="openai",
            chat=True,
            base_rate=1.0 + place,
            max_new_tokens=64,
            endpoint=Endpoint(server.url, "m", **{"retries": 0, "timeout": 5.0, **endpoint}),
        )
        for place, server in enumerate(servers)
    ]
    backends = load_backends(PoolConfig(tuple(models)))
    bundle = make_bundle([backend.price for backend in backends], horizon)
    return Router(bundle, backends, NGramEncoder(size=16), HopPrompt())


def always(bundle: PolicyBundle, stage_actions: Sequence[int]) -> PolicyBundle:
    """The policy that takes these actions at its stages, whatever it reads, and next best the later ones."""
    import dataclasses

    import numpy as np

    actions = len(bundle.pool) + 1
    weights = {name: np.zeros_like(array) for name, array in bundle.weights.items()}
    stage = np.zeros((bundle.horizon, actions), np.float32)
    for row, action in enumerate(stage_actions):
        stage[row, action] = 5.0
    weights["stage_embedding"] = stage
    hidden = np.zeros((4 + actions + 1 + len(bundle.conditions), actions), np.float32)
    hidden[4 : 4 + actions] = np.eye(actions)
    weights |= {"hidden_0/kernel": hidden, "hidden_0/bias": np.zeros(actions, np.float32)}
    order = np.linspace(0.1, 0, actions).astype(np.float32)
    weights |= {"logits/kernel": np.eye(actions, dtype=np.float32) * 5, "logits/bias": order}
    return dataclasses.replace(bundle, weights=weights)
