"""How large a model is, and how much arithmetic its tokens take, from its config alone: no weights are downloaded."""

from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig


@dataclass(frozen=True)
class ModelSize:
    """How large a causal model is. Mixtures of experts are counted as if all experts ran.

    Attributes:
      parameters: all of them, a shared embedding once.
      layers: of attention.
      width: of a layer's queries: heads x their size; 0 where the config tells of no heads.
      flops_per_token: of a token that is written, by the usual count (Kaplan et al. 2020, arXiv 2001.08361, 2.1): twice
        the parameters that are no embeddings, and twice hidden size times vocabulary for its logits. A multiplication
        and its addition are two operations. Without attention: what grows with the length is small for short contexts.
    """

    parameters: int
    layers: int
    width: int
    flops_per_token: int


def count_parameters(config: PretrainedConfig, trust: bool = False) -> ModelSize:
    """The size of the causal model that a config describes, built without memory for its weights.

    Args:
      config: of the model.
      trust: whether code that the config names may be run.

    Raises:
      ValueError: if transformers knows no causal model of this config.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    read, head = model.get_input_embeddings(), model.get_output_embeddings()
    embeddings = {weights.weight for weights in (read, head) if weights is not None}
    parameters = sum(weights.numel() for weights in set(model.parameters()))
    text = config.get_text_config()
    heads = getattr(text, "num_attention_heads", 0) or 0
    return ModelSize(
        parameters=parameters,
        layers=text.num_hidden_layers,
        width=heads * (getattr(text, "head_dim", None) or (text.hidden_size // heads if heads else 0)),
        flops_per_token=2 * (parameters - sum(weights.numel() for weights in embeddings))
        + 2 * (head.weight.numel() if head is not None else 0),
    )
