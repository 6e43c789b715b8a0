"""What is timed: this project's learners, the opponents and the machine's matrix product, one factory each."""

import time

from scripts.measure import Run
from scripts.opponents.problem import Settings, make_problem


def matmul(size: int = 2048) -> Run:
    """Square single-precision products; the machine's peak as JAX reaches it."""
    import jax
    import jax.numpy as jnp

    product = jax.jit(jnp.matmul)
    matrix = jax.random.normal(jax.random.key(0), (size, size))
    product(matrix, matrix).block_until_ready()

    def run(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            product(matrix, matrix).block_until_ready()
        return time.perf_counter() - started

    return run


def opponent(name: str, queries: int, models: int, horizon: int, features: int, num_envs: int) -> Run:
    """Updates of an opponent, after one that compiles.

    Raises:
      ValueError: if nobody has this name.
    """
    match name:
        case "purejaxrl":
            from scripts.opponents.purejaxrl import PureJaxRL as Opponent
        case "torch":
            from scripts.opponents.torch_ppo import TorchPPO as Opponent
        case "sb3_numpy":
            from scripts.opponents.sb3 import Numpy as Opponent
        case "sb3_adapter":
            from scripts.opponents.sb3 import Adapter as Opponent
        case "sb3_dummy":
            from scripts.opponents.sb3 import Dummy as Opponent
        case _:
            raise ValueError(f"no opponent is called {name!r}")
    problem = make_problem(queries, models, horizon, features, seed=0)
    learner = Opponent(problem, Settings(num_envs=num_envs), 0)
    learner.update()

    def run(updates: int) -> float:
        started = time.perf_counter()
        for _ in range(updates):
            learner.update()
        return time.perf_counter() - started

    return run


def ours(
    queries: int,
    models: int,
    horizon: int,
    features: int,
    num_envs: int,
    algorithm: str = "ppo",
    devices: int = 1,
    acting_only: bool = False,
) -> Run:
    """Updates of one of this project's learners with the opponents' settings.

    Args:
      devices: that the environments are spread over.
      acting_only: time rollouts without the epochs over them.
    """
    import jax

    from hierrouter_jax.agents import learner, ppo
    from hierrouter_jax.agents.mesh import data_mesh, replicate
    from hierrouter_jax.policies.network import build_network

    table = make_problem(queries, models, horizon, features, seed=0).on_device()
    static, hyper = our_settings(num_envs, algorithm)
    network = build_network(table, static)
    with data_mesh(devices):
        table, state = replicate((table, learner.init(jax.random.key(0), table, static, hyper)))
        update = jax.jit(lambda state, table: learner.update(state, table, static, hyper)[0])
        collect = jax.jit(lambda state, table: ppo.collect(state.key, state.params, table, network, static, hyper))
        act = collect if acting_only else update
        held = [jax.block_until_ready(act(state, table))]

        def run(updates: int) -> float:
            with data_mesh(devices):
                started = time.perf_counter()
                for _ in range(updates):
                    held[0] = act(state if acting_only else held[0], table)
                jax.block_until_ready(held[0])
                return time.perf_counter() - started

        return run


def our_settings(num_envs: int, algorithm: str = "ppo"):
    """The opponents' numbers as this project spells them."""
    from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic

    settings = Settings(num_envs=num_envs)
    static = LearnerStatic(
        algorithm=algorithm,
        num_envs=num_envs,
        epochs=settings.epochs,
        minibatches=settings.minibatches,
        hidden=settings.hidden,
    )
    hyper = LearnerHyper(
        learning_rate=settings.learning_rate,
        learning_rate_end=1.0,
        clip=settings.clip,
        entropy=settings.entropy,
        entropy_end=settings.entropy,
        value_coefficient=settings.value_coefficient,
        gae_lambda=settings.gae_lambda,
        gamma=settings.gamma,
        max_grad_norm=settings.max_grad_norm,
        weight_decay=0.0,
    )
    return static, hyper


def flops_per_step(models: int, horizon: int, features: int, settings: Settings) -> float:
    """Floating-point operations of PPO's products for one environment step, updates included.

    Forward once to act; in every epoch forward, the kernels' gradients, and the inputs' gradients of all layers
    but the first.
    """
    first, second = settings.hidden
    inputs, outputs = features + horizon + 1, models + 2
    below = inputs * first
    above = first * second + second * outputs
    return 2.0 * ((below + above) + settings.epochs * (2 * below + 3 * above))
