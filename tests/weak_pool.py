"""A weak and noisy pool on the tiny pool's tasks: specialists that often fail and spoil what is finished."""

import random

import numpy as np

from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import Context, OutcomeTable
from hierrouter_jax.tiny.queries import FAMILIES, make_queries

MODELS = ("reader", "calculator", "speller")
STEPS = {
    "word": (0,),
    "expression": (),
    "number": (),
    "fact": (0,),
}  # who brings a problem to an expression or a number
ABLE, SPARES = 0.8, 0.3  # chance of a specialist's own step; chance that another leaves a draft as it is
ENCODER = {"kind": "ngrams", "size": 256}


def steps_of(task: str) -> tuple[int, ...]:
    """The specialists that a task needs, in order."""
    family = FAMILIES[task]
    first = STEPS[family.kind]
    value = (1,) if family.form != "expression" and family.kind in ("word", "expression") else ()
    words = (2,) if family.form == "words" else ()
    return first + value + words


def weak_table(seed: int = 0, train: int = 600, validation: int = 200, test: int = 400) -> OutcomeTable:
    """Outcomes of every route of three hops; a response says how far the draft has come, in words of its own."""
    rng, tree = random.Random(seed), HopTree(len(MODELS), 3)
    queries = make_queries({"train": train, "validation": validation, "test": test}, seed)
    shape = (len(queries), tree.num_nodes)
    quality, response = np.zeros(shape, np.float32), np.full(shape, "", object)
    for row, query in enumerate(queries):
        steps, state = steps_of(query.task), {0: 0}
        for node in range(1, tree.num_nodes):
            model, before = tree.route(node)[-1], state[tree.parent(node)]
            todo = before >= 0 and before < len(steps)
            if todo and steps[before] == model:
                state[node] = before + 1 if rng.random() < ABLE else -1
            else:
                state[node] = before if before > 0 and rng.random() < SPARES else -1
            quality[row, node] = state[node] == len(steps)
            written = ["text", "sum", "word"][steps[state[node] - 1]] if state[node] > 0 else "noise"
            response[row, node] = f"{MODELS[model]} {written if rng.random() < 0.8 else 'noise'} {rng.randrange(99)}"
    contexts = [
        Context(
            query.text,
            tuple(str(response[row, n]) for n in tree.path(node)),
            tuple(MODELS[m] for m in tree.route(node)),
        )
        for row, query in enumerate(queries)
        for node in range(tree.num_decision_nodes)
    ]
    embedding = build_encoder(ENCODER).encode(contexts).reshape(len(queries), tree.num_decision_nodes, -1)
    ones = np.ones(shape, np.int32)
    ones[:, 0] = 0
    return OutcomeTable(
        tree=tree,
        pool=tuple(PricedModel(name, 1.0, 1.0, 1000) for name in MODELS),
        queries=queries,
        context_embedding=embedding.astype(np.float32),
        quality=quality,
        tokens_in=10 * ones,
        tokens_out=5 * ones,
        available=np.ones(shape, bool),
        response=response,
        encoder=ENCODER,
    )
