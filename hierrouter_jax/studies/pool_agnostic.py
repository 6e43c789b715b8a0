"""A policy that knows no model by its place in the pool: logits = f(state) . g(description of the model).

One network scores any model from its description, so a pool may grow, shrink or stand in another order without a new
head. The description holds what is known of a model before it serves: its prices, its size, and how often it was right
on a few probe queries. The learner is exact ascent, as `agents.exact` has it, on the closed-form expected return.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.baselines.problem import Policy
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import expected_return
from hierrouter_jax.evaluation.tree_policy import TreePolicy
from hierrouter_jax.learner_config import RewardWeights
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.masking import masked_log_probs
from hierrouter_jax.training.features import fit_features

NAME = "pool-agnostic"
_PRIOR_PROBES = 5.0  # so many probes of the pool's mean stand behind every accuracy
_MANY = 200.0  # probes beyond which more of them hardly tell more
_PROBE_SHARES = (0.0, 0.01, 0.05, 0.2, 1.0)  # of the training queries, in the descriptions of a step
_STEPS, _CHECK_EVERY = 1000, 50


class PoolAgnosticNetwork(nn.Module):
    """Scores of the models of any pool, and of STOP.

    Attributes:
      horizon: largest number of hops, L.
      hidden: widths of the state's layers.
      width: size of the product of state and model, K.
    """

    horizon: int
    hidden: tuple[int, ...] = (128, 128)
    width: int = 32

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "*B F"],
        stage: Int[Array, "*B"],
        spent: Float[Array, "*B"],
        descriptions: Float[Array, "M P"],
    ) -> Float[Array, "*B A"]:
        """Unmasked logits of the M models and STOP; permuting the models permutes them, and nothing else."""
        parts = [features, jax.nn.one_hot(stage, self.horizon), spent[..., None]]
        hidden = jnp.concatenate(parts, axis=-1)
        for size in self.hidden:
            hidden = nn.tanh(nn.Dense(size, kernel_init=nn.initializers.orthogonal(2**0.5))(hidden))
        model = nn.tanh(nn.Dense(2 * self.width)(descriptions))
        scores = nn.Dense(self.width)(hidden) @ nn.Dense(self.width)(model).T / self.width**0.5
        return jnp.concatenate([scores, nn.Dense(1, kernel_init=nn.initializers.zeros_init())(hidden)], axis=-1)


def describe(
    table: OutcomeTable, quality: Float[Array, "Q M"], probed: Bool[Array, "Q M"], tasks: tuple[str, ...]
) -> Float[Array, "M P"]:
    """What is known of each model before it serves, P = 4 + T numbers.

    The logarithm of its price of a mean call and of its size, each over the pool's mean; its accuracy on the probe
    queries, over all and by task, shrunk towards the pool's mean by five probes; and how many probes there were.

    Args:
      table: the queries, for prices and tasks.
      quality: quality of each model's answer to the query alone.
      probed: whether that answer counts as known.
      tasks: names of the T tasks.
    """
    calls = table.available[:, 1 : 1 + len(table.pool)]
    read, wrote = (
        (tokens[:, 1 : 1 + len(table.pool)] * calls).sum() / max(calls.sum(), 1)
        for tokens in (table.tokens_in, table.tokens_out)
    )
    price = np.array([member.cost(float(read), float(wrote)) for member in table.pool])
    size = np.array([member.parameters or np.nan for member in table.pool], dtype=float)
    task = np.array([[query.task == name for name in tasks] for query in table.queries], dtype=np.float32)
    known = probed.astype(jnp.float32)
    right, count = (quality * known).sum(axis=0), known.sum(axis=0)
    mean = (right.sum() + 0.5) / (count.sum() + 1.0)
    overall = (right + _PRIOR_PROBES * mean) / (count + _PRIOR_PROBES)
    by_task = (task.T @ (quality * known) + _PRIOR_PROBES * overall) / (task.T @ known + _PRIOR_PROBES)
    columns = [_over_mean(price), _over_mean(size), overall - mean, *(by_task - mean)]
    return jnp.stack([*columns, jnp.log1p(count) / np.log1p(_MANY)], axis=1).astype(jnp.float32)


def _over_mean(values: np.ndarray) -> np.ndarray:
    """Logarithms less their mean over those that are known; 0 where one is not."""
    logs = np.log(np.maximum(values, 1e-12))
    return np.nan_to_num(logs - np.nanmean(logs) if np.isfinite(logs).any() else logs)


def pool_agnostic(cost_weight: float, features: int = 64, seed: int = 0, steps: int = _STEPS) -> Callable[..., Policy]:
    """A contender of `transfer`: trained on a table's training split, chosen on its validation split.

    In training a random model is masked in half of the steps, and descriptions rest on a random share of the probes,
    so that the network learns to do without a model and to use few probes.

    Args:
      cost_weight: lambda, per normalised cost.
      features: number of features of a context.
      seed: seed of the start and of all draws.
      steps: number of gradient steps.
    """

    def fit(table: OutcomeTable) -> Policy:
        train, validation = table.split("train"), table.split("validation")
        fitted = fit_features(train, features)
        weights = RewardWeights(hop_cost=cost_weight)
        network, tasks, models = PoolAgnosticNetwork(table.tree.horizon), table.task_names, len(table.pool)
        first = slice(1, 1 + models)
        quality, answered = jnp.asarray(train.quality[:, first]), jnp.asarray(train.available[:, first])
        described = describe(train, quality, answered, tasks)
        device, held_out = fitted.on_device(train), fitted.on_device(validation)
        mask, held_out_mask = decision_masks(device, False), decision_masks(held_out, False)

        def logits(params: Any, part: DeviceTable, descriptions: Float[Array, "M P"]) -> Float[Array, "Q D A"]:
            decisions = part.tree.num_decision_nodes
            stage = jnp.broadcast_to(jnp.asarray(part.tree.stages[:decisions]), part.features.shape[:2])
            whole: Any = network.apply(params, part.features, stage, part.spent[:, :decisions], descriptions)
            return whole

        def loss(params: Any, key: PRNGKeyArray) -> Float[Array, ""]:
            share_key, probe_key, model_key = jax.random.split(key, 3)
            share = jax.random.choice(share_key, jnp.array(_PROBE_SHARES), (models,))
            probed = answered & (jax.random.uniform(probe_key, answered.shape) < share)
            left = jax.random.randint(model_key, (), 0, 2 * models)  # no model in half of the steps
            fewer = mask & (jnp.arange(models + 1) != left)
            legal = jnp.where(fewer.any(axis=-1, keepdims=True), fewer, mask)
            probs = jnp.exp(masked_log_probs(logits(params, device, describe(train, quality, probed, tasks)), legal))
            return -expected_return(probs, device, weights).mean()

        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(3e-3, steps)))

        @jax.jit
        def advance(params: Any, state: optax.OptState, key: PRNGKeyArray) -> tuple[Any, optax.OptState, Array]:
            def step(carry: Any, key: PRNGKeyArray) -> tuple[Any, None]:
                params, state = carry
                updates, state = optimizer.update(jax.grad(loss)(params, key), state, params)
                return (optax.apply_updates(params, updates), state), None

            (params, state), _ = jax.lax.scan(step, (params, state), jax.random.split(key, _CHECK_EVERY))
            scores = logits(params, held_out, described)
            chosen = TreePolicy(scores, held_out_mask, held_out.tree, held_out.tie_order).greedy()
            return params, state, expected_return(chosen, held_out, weights).mean()

        start_key, key = jax.random.split(jax.random.key(seed))
        stages = jnp.zeros((1,), jnp.int32)
        params: Any = network.init(start_key, device.features[:1, 0], stages, stages * 1.0, described)
        state, best, best_return = optimizer.init(params), params, -np.inf
        for part in range(max(1, steps // _CHECK_EVERY)):
            params, state, reached = advance(params, state, jax.random.fold_in(key, part))
            if float(reached) > best_return:
                best, best_return = params, float(reached)

        def policy(part: OutcomeTable) -> Float[np.ndarray, "Q N"]:
            order = [table.model_names.index(name) for name in part.model_names]
            actions = [*order, models]  # of the part, M of them STOP, by their places in the pool of the fit
            ties = tuple(actions.index(action) for action in fitted.tie_order if action in actions)
            device = fitted.on_device(part)
            scores = logits(best, device, described[np.array(order)])
            mask = decision_masks(device, False)
            return np.asarray(TreePolicy(scores, mask, part.tree, ties).greedy_ends())

        return policy

    return fit
