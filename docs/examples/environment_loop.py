"""The environment by itself: episodes of a policy that picks legal actions at random."""

import jax
import jax.numpy as jnp

import hierrouter_jax as hr
from hierrouter_jax import envs


def random_episodes(key: jax.Array, table: envs.DeviceTable, count: int = 64) -> tuple[jax.Array, envs.RoutingState]:
    """The return of each of `count` episodes, and the states in which they end."""
    weights = hr.RewardWeights(hop_cost=0.02)
    start_key, key = jax.random.split(key)

    def advance(state, step_key):
        legal = envs.action_mask(state, table, allow_stop=True)
        action = jax.random.categorical(step_key, jnp.where(legal, 0.0, -jnp.inf))
        state, step = envs.step(state, action, table, weights, allow_stop=True)
        return state, step.reward

    start = envs.reset(start_key, table, count)  # a query for each episode, at the root of its tree of routes
    end, rewards = jax.lax.scan(advance, start, jax.random.split(key, table.tree.horizon))
    return rewards.sum(axis=0), end


if __name__ == "__main__":
    table = hr.load_table("runs/quickstart/table").split("train")
    on_device = hr.fit_features(table, size=64).on_device(table)
    returns, end = jax.jit(random_episodes)(jax.random.key(0), on_device)  # the table is an argument, never closed over
    print(f"mean return {returns.mean():.3f}, mean quality {on_device.quality[end.query, end.node].mean():.3f}")
