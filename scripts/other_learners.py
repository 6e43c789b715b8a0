"""Other people's learners on this MDP, through the gymnax adapter: rejax's own PPO, and PureJaxRL's loop.

They and this project pin different versions, so they get an environment of their own:

python -m venv .venv-learners && .venv-learners/bin/pip install rejax gymnax .
.venv-learners/bin/python -m scripts.other_learners --table runs/quickstart/table
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState
from jaxtyping import Array, Float
from jsonargparse import auto_cli

from hierrouter_jax import OutcomeTable, fit_features, load_table, policy_outcome
from hierrouter_jax.envs.gymnax_env import EnvState, FiveValueEnv, RoutingEnv
from hierrouter_jax.envs.routing import RoutingState, decision_masks
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.tree_policy import TreePolicy
from scripts.opponents.problem import Settings

Logits = Callable[[Float[Array, "B O"]], Float[Array, "B A"]]
HIDDEN = (128, 128)


def main(
    table: Path = Path("runs/quickstart/table"),
    features: int = 384,
    episodes: int = 51_200,
    seeds: int = 3,
    allow_stop: bool = False,
    out: Path = Path("runs/bench/other_learners.json"),
) -> None:
    """Train each on the training split and print the exact test accuracy of its greedy policy, a seed a line.

    Args:
      table: folder of the outcome table.
      features: number of features of a context.
      episodes: number of training episodes of each seed.
      seeds: number of seeds.
      allow_stop: whether STOP is an action. Neither learner masks actions: an illegal one ends with 0.
      out: JSON file of the figures.
    """
    outcomes = load_table(table)
    fitted = fit_features(outcomes.split("train"), size=features)
    train, test = fitted.on_device(outcomes.split("train")), fitted.on_device(outcomes.split("test"))
    figures: dict[str, list[float]] = {}
    for name, learn in {"rejax": rejax_ppo, "purejaxrl": purejaxrl_ppo}.items():
        for seed in range(seeds):
            start = time.perf_counter()
            logits = learn(FiveValueEnv(RoutingEnv(train, allow_stop)), episodes, seed)
            accuracy = exact_accuracy(logits, test, outcomes.split("test"), allow_stop)
            figures.setdefault(name, []).append(accuracy)
            print(f"{name} seed {seed}: test accuracy {accuracy:.3f}, {time.perf_counter() - start:.1f} s", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"episodes": episodes, "allow_stop": allow_stop, "accuracy": figures}, indent=2))


def rejax_ppo(environment: FiveValueEnv, episodes: int, seed: int) -> Logits:
    """rejax's PPO as it is, evaluated only at its end."""
    from rejax import PPO  # pyright: ignore[reportMissingImports]  (of an environment of its own)

    horizon, num_envs = environment.tree.horizon, 256
    algorithm = PPO.create(
        env=environment,
        env_params=environment.default_params,
        num_envs=num_envs,
        num_steps=horizon,
        num_epochs=4,
        num_minibatches=4,
        learning_rate=1e-3,
        gamma=1.0,
        total_timesteps=episodes * horizon,
        eval_freq=episodes * horizon,
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": HIDDEN},
    ).replace(eval_callback=lambda *_: ())
    state, _ = jax.jit(algorithm.train)(jax.random.key(seed))
    return lambda observation: algorithm.actor.apply(
        state.actor_ts.params, observation, method=lambda actor, x: actor._action_dist(x).logits
    )


def purejaxrl_ppo(environment: FiveValueEnv, episodes: int, seed: int) -> Logits:
    """PureJaxRL's loop on the environment's own `reset` and `step`."""
    from scripts.opponents.purejaxrl import ActorCritic, Runner, make_update

    settings = Settings(num_envs=256, hidden=HIDDEN)
    params = environment.default_params
    network_key, reset_key, key = jax.random.split(jax.random.key(seed), 3)
    observation, env_state = jax.vmap(environment.reset, in_axes=(0, None))(
        jax.random.split(reset_key, settings.num_envs), params
    )
    network = ActorCritic(environment.num_actions, settings.hidden)
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(settings.learning_rate, eps=1e-5))
    variables = network.init(network_key, observation[0])
    state: Any = TrainState.create(apply_fn=network.apply, params=variables, tx=optimizer)
    runner = Runner(state, env_state, observation, key)
    update = jax.jit(make_update(environment, settings))
    for _ in range(episodes // settings.num_envs):
        runner, _ = update(runner, params)
    return lambda observation: network.apply(runner.train_state.params, observation)[0].logits


def exact_accuracy(logits: Logits, table: DeviceTable, outcomes: OutcomeTable, allow_stop: bool) -> float:
    """Mean quality of the greedy policy over the whole tree; illegal actions are never taken here."""
    environment = RoutingEnv(table, allow_stop)
    tree, params = table.tree, environment.default_params
    queries, nodes = np.divmod(np.arange(table.num_queries * tree.num_decision_nodes), tree.num_decision_nodes)

    def observe(query: Array, node: Array) -> Float[Array, " O"]:
        state = RoutingState(query, node, jnp.zeros((), bool))
        return environment.observe(EnvState(state, jnp.zeros((), jnp.int32)), params)

    scores = logits(jax.vmap(observe)(jnp.asarray(queries), jnp.asarray(nodes)))
    scores = scores.reshape(table.num_queries, tree.num_decision_nodes, -1)
    whole = jnp.full((*scores.shape[:2], tree.num_models + 1), -jnp.inf).at[..., : scores.shape[-1]].set(scores)
    ends = TreePolicy(whole, decision_masks(table, allow_stop), tree).greedy_ends()
    return float(policy_outcome(outcomes, np.asarray(ends)).quality.mean())


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
