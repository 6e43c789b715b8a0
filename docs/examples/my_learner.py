"""REINFORCE, with the mean return of the batch as its baseline."""

from dataclasses import replace

import jax
import jax.numpy as jnp

import hierrouter_jax as hr


def reinforce(state, table, network, static, hyper):
    rollout_key, key = jax.random.split(state.key)

    def loss(params):
        steps, end = hr.rollout(rollout_key, params, table, network, static, hyper)  # [L, num_envs], [num_envs]
        returns = jnp.sum(steps.reward, axis=0)
        log_prob = jnp.sum(jnp.where(steps.alive, steps.log_prob, 0.0), axis=0)
        cost = table.spent[end.query, end.node]
        metrics = {"train_return": jnp.mean(returns), "train_cost": jnp.mean(cost)}
        return -jnp.mean(log_prob * (returns - jnp.mean(returns))), metrics

    gradient, metrics = jax.grad(loss, has_aux=True)(state.params)
    progress = state.update / static.num_updates
    params, optimizer = hr.apply_gradient(state.params, state.optimizer, gradient, hyper, progress)
    return replace(state, params=params, optimizer=optimizer, key=key), metrics
