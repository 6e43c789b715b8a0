"""How large a model is, and how much arithmetic its tokens take, from its config alone: no weights are downloaded."""

from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig


@dataclass(frozen=True)
class ModelSize:
    """What a causal model's tokens cost in arithmetic, by the usual count (Kaplan et al. 2020, arXiv 2001.08361, 2.1).

    A multiplication and its addition are two operations. Mixtures of experts are counted as if all experts ran.

    Attributes:
      parameters: all of them, a shared embedding once.
      layer_flops: of a token through all layers: twice the parameters that are no embeddings.
      head_flops: of the logits of a token that is written: twice hidden size times vocabulary.
      attention_flops: of a token with each position that it attends to: scores and weighted sum, every layer.
    """

    parameters: int
    layer_flops: int
    head_flops: int
    attention_flops: int

    @property
    def flops_per_token(self) -> int:
        """Of a written token, without attention: what grows with the length is small for short contexts."""
        return self.layer_flops + self.head_flops

    def flops(self, tokens_in: float, tokens_out: float) -> float:
        """Of a call that reads and writes so many tokens, with a key-value cache."""
        tokens = tokens_in + tokens_out
        attended = tokens * (tokens + 1) / 2
        return tokens * self.layer_flops + tokens_out * self.head_flops + attended * self.attention_flops


def count_parameters(config: PretrainedConfig) -> ModelSize:
    """The size of the causal model that a config describes, built without memory for its weights.

    Raises:
      ValueError: if transformers knows no causal model of this config.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    read, head = model.get_input_embeddings(), model.get_output_embeddings()
    embeddings = {weights.weight for weights in (read, head) if weights is not None}
    parameters = sum(weights.numel() for weights in set(model.parameters()))
    text = config.get_text_config()
    heads = getattr(text, "num_attention_heads", 0) or 0
    width = getattr(text, "head_dim", None) or (text.hidden_size // heads if heads else 0)
    return ModelSize(
        parameters=parameters,
        layer_flops=2 * (parameters - sum(weights.numel() for weights in embeddings)),
        head_flops=2 * (head.weight.numel() if head is not None else 0),
        attention_flops=4 * text.num_hidden_layers * heads * width,
    )
