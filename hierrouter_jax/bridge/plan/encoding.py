"""What embedding the contexts of a planned collection takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.bridge.plan.assumptions import Assumptions, StatedSize
from hierrouter_jax.bridge.plan.questions import Questions
from hierrouter_jax.hop_tree import HopTree

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class PlannedEncoding:
    """What embedding takes; each distinct question and response is embedded once.

    Attributes:
      texts: at most.
      tokens: that the encoder reads, what is cut from long texts left out.
      truncated: texts that are cut.
      flops: floating point operations.
      hours: on the device that is assumed, at the utilisation of reading.
      table_bytes: of the embeddings in the table.
    """

    texts: int
    tokens: float
    truncated: int
    flops: float
    hours: float
    table_bytes: int


def plan_encoding(
    questions: Questions,
    question_tokens: Float[np.ndarray, " T"],
    response_tokens: Float[np.ndarray, "M T"],
    tree: HopTree,
    spec: dict[str, Any],
    size: StatedSize,
    assumptions: Assumptions,
) -> PlannedEncoding:
    """Plan the embedding of questions and responses apart.

    A token takes 2 x parameters operations, and attention over the n tokens of its text n times that of one.

    Args:
      questions: the questions.
      question_tokens: of each text.
      response_tokens: that each model is taken to answer each text with.
      tree: of the collection.
      spec: of an encoder of parts; `max_tokens` is what it reads of a text, everything where it is not stated.
      size: of its model.
      assumptions: of the device.
    """
    longest = spec.get("max_tokens") or np.inf
    answers = (tree.num_decision_nodes - 1) // tree.num_models  # of each model, before the last hop
    lengths = np.concatenate([question_tokens[None], np.repeat(response_tokens, answers, axis=0)])
    times = np.broadcast_to(questions.weight, lengths.shape)
    read = np.minimum(lengths, longest)
    operations = 2 * size.parameters * read + size.attention_flops * read**2
    flops = float((times * operations).sum())
    return PlannedEncoding(
        texts=round(float(times.sum())),
        tokens=float((times * read).sum()),
        truncated=round(float(times[lengths > longest].sum())),
        flops=flops,
        hours=flops / assumptions.peak_flops / assumptions.reading_utilisation / 3600,
        table_bytes=questions.total * tree.num_decision_nodes * len(spec["parts"]) * size.width * _FLOAT_BYTES,
    )
