"""A pool's backends, each of its kind."""

import os
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from hierrouter_jax.bridge.backends.interface import Backend, Failure, Generation, Streaming
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.servers import Servers
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Prompt

if TYPE_CHECKING:
    from hierrouter_jax.bridge.backends.weights import Weights


def load_backends(pool: PoolConfig, servers: Servers | None = None) -> tuple[Backend, ...]:
    """All models of a pool, in action order.

    Args:
      pool: the members and their prices.
      servers: the servers that carry out the commands of its endpoints, in a `with` block around their use.
    Raises:
      InputError: naming the model whose source cannot be loaded or whose key is missing.
    """
    return load_seeds(pool, 1, servers)[0]


def load_seeds(pool: PoolConfig, count: int, servers: Servers | None = None) -> tuple[tuple[Backend, ...], ...]:
    """The backends of a pool under its own seeds, and under those seeds plus 1, 2, ...: `count` of each member.

    Weights and servers are shared; a greedy member is the same under every seed.

    Raises:
      InputError: as `load_backends`.
    """
    weights, pools = None, [pool.reseeded(add) for add in range(count)]
    if any(config.kind == "transformers" for config in pool.models):
        from hierrouter_jax.bridge.backends.weights import Weights

        weights = Weights(pool.resident)
    return tuple(tuple(load_backend(one, its, weights, servers) for one in its.models) for its in pools)


def load_backend(
    config: ModelConfig, pool: PoolConfig, weights: "Weights | None" = None, servers: Servers | None = None
) -> Backend:
    """One member; of an endpoint no weights are loaded, and nothing is asked yet.

    Args:
      config: configuration of the member.
      pool: the one it is a member of.
      weights: the pool's loaded models, so that members which share weights share them in memory too.
      servers: the servers that carry out the command of its endpoint, if it has one.
    """
    if config.kind == "openai":
        from hierrouter_jax.bridge.backends.openai import OpenAIBackend  # its client takes a second to import

        return OpenAIBackend(config, pool, servers)
    from hierrouter_jax.bridge.backends.transformers import TransformersBackend  # torch takes seconds, too

    return TransformersBackend(config, pool, weights)


# Ray is an extra of its own, and large: it is imported where it is used, and absent where code is checked.
# pyright: reportMissingImports=false


_PIECES_PER_WORKER = 4  # of a batch: small enough for a fast worker to take over from a slow one
_RESTARTS = 4  # of a worker that died; one that dies again and again is given up
_ATTRIBUTES = ("name", "parameters", "identity", "price", "max_new_tokens", "positions")


class RayBackend:
    """A pool member whose calls run on several workers.

    What it answers is what the member itself answers: a worker that dies is started again, and the calls that it had
    not returned are made again.

    Args:
      attributes: the member's public attributes, as the workers report them.
      row: place of the member in the pool.
      workers: actor handles, shared by all members.
    """

    name: str
    parameters: int | None
    identity: str
    max_new_tokens: int
    positions: int | None

    def __init__(self, attributes: dict[str, Any], row: int, workers: Sequence[Any]) -> None:
        vars(self).update(attributes)
        self.price = attributes["price"]
        self._row, self._workers = row, workers

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each prompt, counted by one worker."""
        return _get(self._workers[0].count_tokens.remote(self._row, list(prompts)))

    def generate(self, prompts: Sequence[Prompt]) -> list[Generation | Failure]:
        """One generation, or the reason why there is none, for each prompt, in order.

        Raises:
          InputError: whatever a worker's backend refuses.
        """
        from ray.util import ActorPool

        size = max(1, -(-len(prompts) // (_PIECES_PER_WORKER * len(self._workers))))
        pieces = [list(prompts[start : start + size]) for start in range(0, len(prompts), size)]
        idle = ActorPool(list(self._workers))
        for piece in pieces:
            idle.submit(lambda worker, piece: worker.generate.remote(self._row, piece), piece)
        answers: list[Generation | Failure] = []
        for piece in pieces:
            answers += _answers(idle, piece)
        return answers


def over_ray(pool: PoolConfig, workers: int, seeds: int = 1) -> tuple[Backend, ...]:
    """A pool's backends, each spread over the same workers of a Ray cluster.

    Connects to the cluster that RAY_ADDRESS names, or else starts one on this machine. Where the cluster has GPUs,
    each worker gets one of its own. The package, the pool's sources and the variables that hold keys must be there on
    every machine of the cluster; none of them is sent.

    Args:
      pool: each worker holds all of it.
      workers: how many; of a pool of endpoints alone, each adds the endpoints' `concurrency` calls under way.
      seeds: number of seeds, as of `load_seeds`; all members under the first seed come first.

    Raises:
      InputError: if Ray is not installed, the cluster has GPUs but fewer than workers, a worker cannot load the pool,
        or two workers load different weights.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}, but must be at least 1")
    try:
        import ray
    except ImportError:
        raise InputError("Ray is not installed; pip install 'hierrouter_jax[ray]'") from None
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone unless asked for
        ray.init(include_dashboard=False, log_to_driver=False)
    needs_gpu = any(model.kind == "transformers" for model in pool.models)
    gpus = int(ray.cluster_resources().get("GPU", 0)) if needs_gpu else 0
    if 0 < gpus < workers:
        raise InputError(f"workers is {workers}, but the cluster has {gpus} GPUs; a worker needs one of its own")
    actor = ray.remote(
        num_gpus=1 if gpus else 0, max_restarts=_RESTARTS, max_task_retries=_RESTARTS, scheduling_strategy="SPREAD"
    )(_Worker)
    handles = [actor.remote(pool, seeds) for _ in range(workers)]
    described = [_get(handle.describe.remote()) for handle in handles]
    for row, member in enumerate(described[0]):
        if any(other[row] != member for other in described):
            raise InputError(
                f"model {member['name']!r}: the workers loaded different weights or settings; put the same source on "
                "every machine of the cluster"
            )
    return tuple(RayBackend(member, row, handles) for row, member in enumerate(described[0]))


class _Worker:
    """What runs in an actor."""

    def __init__(self, pool: PoolConfig, seeds: int) -> None:
        self._pool, self._seeds, self._backends = pool, seeds, ()

    def describe(self) -> list[dict[str, Any]]:
        return [{name: getattr(backend, name) for name in _ATTRIBUTES} for backend in self._loaded()]

    def count_tokens(self, row: int, prompts: list[Prompt]) -> list[int]:
        return self._loaded()[row].count_tokens(prompts)

    def generate(self, row: int, prompts: list[Prompt]) -> list[Generation | Failure]:
        backend, answers = self._loaded()[row], {}
        if not isinstance(backend, Streaming):
            return list(backend.generate(prompts))
        for part in backend.generate_each(iter(prompts)):  # whose fault a refusal is, is judged over all workers
            answers |= part
        return [answers[prompt] for prompt in prompts]

    def _loaded(self) -> tuple[Backend, ...]:
        """Loaded in the first task and not in the constructor, whose errors would be told as the actor's death."""
        self._backends = self._backends or tuple(chain(*load_seeds(self._pool, self._seeds)))
        return self._backends


def _answers(idle: Any, piece: list[Prompt]) -> list[Generation | Failure]:
    """The next piece's answers; failures if its worker died once too often."""
    from ray.exceptions import RayActorError

    try:
        return _told(idle.get_next)
    except RayActorError:
        return [Failure(f"the worker died, {_RESTARTS} restarts included; see the log of Ray")] * len(piece)


def _get(future: Any) -> Any:
    import ray

    return _told(lambda: ray.get(future))


def _told(get: Any) -> Any:
    """What a task returned; what it refused is raised here as it was there."""
    from ray.exceptions import RayTaskError

    try:
        return get()
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
