"""The prompts of hops, from their contexts; one that is too long loses its oldest responses, never its query."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.bridge.backends import Backend
from hierrouter_jax.bridge.prompts import HopPrompt, as_text
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Context, OutcomeTable, Prompt


def hop_contexts(
    table: OutcomeTable, possible: Bool[np.ndarray, "Q P"], stage: int, model: int
) -> tuple[list[tuple[int, int]], list[Context]]:
    """A model's hops after `stage` hops, parent by parent, with the context of each.

    Args:
      table: table that holds the responses at the parents.
      possible: [Q, P], whether a parent, of the P nodes of the stage, has the hop.
      stage: number of hops done before.
      model: place of the model in the pool.
    Returns:
      The (query, node) cells of the hops, and their contexts.
    """
    cells, contexts = [], []
    first = table.tree.stage_start(stage)
    for at in range(possible.shape[1]):
        parent = first + at
        path, node = list(table.tree.path(parent)), table.tree.child(parent, model)
        authors = tuple(table.model_names[called] for called in table.tree.route(parent))
        for row in np.flatnonzero(possible[:, at]).tolist():
            query, responses = table.queries[row], tuple(table.response[row, path].tolist())
            cells.append((row, node))
            contexts.append(Context(query.text, responses, authors, query.shots))
    return cells, contexts


def fitted_prompts(layout: HopPrompt, contexts: Sequence[Context], backend: Backend) -> tuple[list[Prompt], list[int]]:
    """The prompt of each context, trimmed where it and the longest response pass the model's positions.

    What is trimmed is taken from the start of the oldest response that the layout shows, then of the next; the query
    and worked examples stay whole. A response that is trimmed away loses its line too.

    Args:
      layout: layout of the pool's prompts; what it says of this member alone is obeyed.
      contexts: queries and the responses so far, one for each prompt.
      backend: backend of the member.
    Returns:
      Prompts in order, and of each how many tokens were trimmed, by the model's own tokenizer; 0 nearly always.
    Raises:
      InputError: if a prompt does not fit even without any response.
    """
    layout = layout.of(backend.name)
    prompts = [layout(c.query, c.responses, c.models, c.shots) for c in contexts]
    trimmed = [0] * len(prompts)
    if backend.positions is None:
        return prompts, trimmed
    room = backend.positions - backend.max_new_tokens
    tokens = _tokens_where_long(prompts, backend, room)
    rows = [row for row, prompt in enumerate(prompts) if tokens.get(prompt, 0) > room]
    for row, prompt in zip(rows, _trimmed(layout, [contexts[row] for row in rows], backend, room), strict=True):
        full, prompts[row] = tokens[prompts[row]], prompt
        trimmed[row] = full
    for row, left in zip(rows, backend.count_tokens([prompts[row] for row in rows]), strict=True):
        trimmed[row] -= left
    return prompts, trimmed


def _tokens_where_long(prompts: Sequence[Prompt], backend: Backend, room: int) -> dict[Prompt, int]:
    """Tokens of the distinct prompts that may be too long; a text of few bytes is not, as a token is at least one."""
    around = backend.count_tokens([""])[0]
    long = [
        prompt
        for prompt in dict.fromkeys(prompts)
        if not isinstance(prompt, str) or len(prompt.encode()) + around > room
    ]
    return dict(zip(long, backend.count_tokens(long), strict=True))


def _trimmed(layout: HopPrompt, contexts: list[Context], backend: Backend, room: int) -> list[Prompt]:
    """Each prompt with the fewest characters of responses taken away that let it fit, by bisection of all at once."""
    shown = [_shown(layout, context) for context in contexts]
    fewest, enough = [0] * len(contexts), [sum(map(len, context.responses)) for context in shown]
    bare = [_without(layout, context, most) for context, most in zip(shown, enough, strict=True)]
    for prompt, tokens in zip(bare, backend.count_tokens(bare), strict=True):
        if tokens > room:
            raise InputError(
                f"model {backend.name!r}: a prompt of {tokens} tokens without earlier responses and a response of "
                f"{backend.max_new_tokens} do not fit its {backend.positions} positions; lower max_new_tokens or drop "
                f"{as_text(prompt)[:60]!r}..."
            )
    while any(few + 1 < most for few, most in zip(fewest, enough, strict=True)):
        middle = [(few + most) // 2 for few, most in zip(fewest, enough, strict=True)]
        tried = [_without(layout, context, dropped) for context, dropped in zip(shown, middle, strict=True)]
        for row, tokens in enumerate(backend.count_tokens(tried)):
            if tokens <= room:
                enough[row] = middle[row]
            else:
                fewest[row] = middle[row]
    return [_without(layout, context, dropped) for context, dropped in zip(shown, enough, strict=True)]


def _shown(layout: HopPrompt, context: Context) -> Context:
    """The context with the responses that the layout does not show already emptied."""
    hidden = layout.shown(len(context.responses)).start
    return context._replace(responses=("",) * hidden + context.responses[hidden:])


def _without(layout: HopPrompt, context: Context, dropped: int) -> Prompt:
    """The prompt without the first `dropped` characters of the responses."""
    rest: list[str | None] = []
    for response in context.responses:
        rest.append(None if dropped and dropped >= len(response) else response[dropped:])
        dropped = max(0, dropped - len(response))
    return layout(context.query, rest, context.models, context.shots)
