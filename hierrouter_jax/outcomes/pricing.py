"""What a hop costs: metered tokens times stated prices."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree

_CACHED = "price_cached_in"
_DEAREST = 1e15  # a token, in any currency: a route of the longest answers stays within float32


@dataclass(frozen=True)
class PricedModel:
    """A pool member as the table knows it.

    Attributes:
      name: name that is unique in the pool.
      price_in: money per token read, at most 1e15. The paper's single base rate is `price_in == price_out`.
      price_out: money per token written, at most 1e15.
      parameters: number of weights, where known.
      max_new_tokens: largest number of tokens that it may write in one call, where known; a budget needs it.
      flops_per_token: arithmetic of a written token, attention left out, where known.
      price_cached_in: money per token read that a prefix cache serves; None where that is no cheaper.
    """

    name: str
    price_in: float
    price_out: float
    parameters: int | None = None
    max_new_tokens: int | None = None
    flops_per_token: int | None = None
    price_cached_in: float | None = None

    def __post_init__(self) -> None:
        for field in ("price_in", "price_out", "price_cached_in"):
            value = getattr(self, field)
            if value is None and field == "price_cached_in":
                continue
            if not (isinstance(value, int | float) and 0 <= value <= _DEAREST):
                raise InputError(
                    f"model {self.name!r}: {field} is {value!r}, but a price is a number of at least 0 and at most "
                    f"{_DEAREST:g}"
                )

        if self.price_cached_in is not None and self.price_cached_in > self.price_in:
            raise InputError(
                f"model {self.name!r}: price_cached_in is {self.price_cached_in!r}, but must be at most price_in, "
                f"{self.price_in!r}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain data; a price of cached tokens only where there is one, as in files from before there were any."""
        values = asdict(self)
        return values if self.price_cached_in is not None else {k: v for k, v in values.items() if k != _CACHED}

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """Price of so many tokens read and written."""
        return tokens_in * self.price_in + tokens_out * self.price_out


def hop_costs(
    tokens_in: Int[np.ndarray, "Q N"], tokens_out: Int[np.ndarray, "Q N"], pool: tuple[PricedModel, ...], tree: HopTree
) -> Float[np.ndarray, "Q N"]:
    """Cost of entering each node, in the prices' money unit; the root costs nothing."""
    model = tree.last_model(np.arange(tree.num_nodes))
    price_in = np.array([member.price_in for member in pool])[model]
    price_out = np.array([member.price_out for member in pool])[model]
    cost = tokens_in * price_in + tokens_out * price_out
    cost[:, 0] = 0.0
    return cost


def accumulate_cost(cost: Float[np.ndarray, "Q N"], tree: HopTree) -> Float[np.ndarray, "Q N"]:
    """Cost of the whole route to each node: every ancestor's cost and its own."""
    spent = cost.copy()
    for node in range(1, tree.num_nodes):
        spent[:, node] += spent[:, tree.parent(node)]
    return spent


def cached_costs(
    cost: Float[np.ndarray, "Q N"], tokens_cached: Int[np.ndarray, "Q N"], pool: tuple[PricedModel, ...], tree: HopTree
) -> Float[np.ndarray, "Q N"]:
    """Cost of entering each node where a prefix cache serves `tokens_cached` of the tokens read, at their own price."""
    discount = [0.0 if one.price_cached_in is None else one.price_in - one.price_cached_in for one in pool]
    return cost - tokens_cached * np.array(discount)[tree.last_model(np.arange(tree.num_nodes))]


def largest_charges(
    tokens_in: Int[np.ndarray, "Q N"], pool: tuple[PricedModel, ...], tree: HopTree
) -> Float[np.ndarray, "Q N"] | None:
    """The most that entering each node can cost, known before the call: the context read, all tokens written.

    None where a model's `max_new_tokens` is unknown.
    """
    limits = [member.max_new_tokens for member in pool]
    if any(limit is None for limit in limits):
        return None
    model = tree.last_model(np.arange(tree.num_nodes))
    return hop_costs(tokens_in, np.broadcast_to(np.array(limits)[model], tokens_in.shape), pool, tree)


def check_budget(budget: float, smallest: Float[np.ndarray, " Q"], ids: Sequence[str] | None, money_unit: str) -> None:
    """Refuse a budget that leaves a query without any answer.

    Args:
      budget: largest amount that each query's route may cost.
      smallest: largest charge of the cheapest first call of each query.
      ids: ids of the queries, for the message; None of a single request, which has none.
      money_unit: unit of both amounts.

    Raises:
      InputError: naming the query that needs most, so that its smallest budget does for all of them.
    """
    if not np.all(smallest <= budget):
        row = int(np.argmax(smallest))
        whose = "this request" if ids is None else f"query {ids[row]!r}"
        raise InputError(
            f"a budget of {budget} {money_unit} pays for no first call of {whose}; "
            f"the smallest that does is {float(smallest[row])} {money_unit}"
        )
