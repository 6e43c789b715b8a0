"""Calls from the table that was made of them, so that a table alone can be extended to more queries or more hops."""

from collections.abc import Iterator, Sequence

from hierrouter_jax.bridge.backends import Backend, Generation
from hierrouter_jax.bridge.cache import KeptCall, call_key
from hierrouter_jax.bridge.collect.contexts import hop_contexts
from hierrouter_jax.bridge.fitting import fitted_prompts
from hierrouter_jax.bridge.grading.table import FAILED
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.config import from_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import OutcomeTable


def calls_of_table(table: OutcomeTable, backends: Sequence[Backend]) -> Iterator[KeptCall]:
    """The distinct calls that a collected table is made of, each under the key that it was made with.

    The layout of the prompts is the one in the table's settings. Latencies are as exact as the table holds them, and
    log-probabilities, which it does not hold, are None. A failed call is none.

    Args:
      table: as `collect` made it.
      backends: pool members by any of the table's names, in any order; of those that `other_models` names, and of
        those that are not there, no call is given.

    Raises:
      InputError: if the table's settings do not say how its prompts were laid out and who answered them.
    """
    layout = _layout(table)
    given: set[bytes] = set()
    for backend in _the_same(table, backends):
        model = table.model_names.index(backend.name)
        for stage in range(table.tree.horizon):
            hops = slice(table.tree.stage_start(stage + 1) + model, table.tree.stage_start(stage + 2), len(table.pool))
            answered = table.available[:, hops] & (table.details["finish_reason"][:, hops] != FAILED)
            cells, contexts = hop_contexts(table, answered, stage, model)
            prompts, _ = fitted_prompts(layout, contexts, backend)
            for prompt, cell in zip(prompts, cells, strict=True):
                key = call_key(backend.identity, prompt)
                if key not in given:
                    given.add(key)
                    yield KeptCall(key, backend.identity, _generation(table, cell))


def other_models(table: OutcomeTable, backends: Sequence[Backend]) -> list[str]:
    """Names that both know, but whose weights or settings are not those of the table's calls."""
    same = {backend.name for backend in _the_same(table, backends)}
    return [b.name for b in backends if b.name in table.model_names and b.name not in same]


def _the_same(table: OutcomeTable, backends: Sequence[Backend]) -> list[Backend]:
    identities = table.settings.get("models", {})
    return [b for b in backends if b.name in table.model_names and identities.get(b.name) == b.identity]


def _layout(table: OutcomeTable) -> HopPrompt:
    for name in ("prompt", "models"):
        if name not in table.settings:
            raise InputError(f"settings.{name} is missing, so this is no collected table, and its calls are not known")
    return from_dict(HopPrompt, table.settings["prompt"], "settings.prompt")


def _generation(table: OutcomeTable, cell: tuple[int, int]) -> Generation:
    return Generation(
        table.response[cell],
        int(table.tokens_in[cell]),
        int(table.tokens_out[cell]),
        table.details["finish_reason"][cell],
        0.0 if table.latency is None else float(table.latency[cell]),
    )
