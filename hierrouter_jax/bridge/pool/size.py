"""How large a model is, and how much arithmetic its tokens take, from its config alone: no weights are downloaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from hierrouter_jax.bridge.pool.description import described
from hierrouter_jax.bridge.pool.member import ModelConfig
from hierrouter_jax.bridge.pretrained import from_pretrained
from hierrouter_jax.errors import InputError, nearest


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


def member_size(config: ModelConfig, known: PretrainedConfig | None, **options: Any) -> ModelSize | None:
    """The size of a member's model: by what its `size_from` says, or else by its source's config.

    Args:
      config: the member.
      known: its source's config; None where there is none.
      options: of `from_pretrained`, where `size_from` names another config.
    Returns:
      None where no config is known at all.
    Raises:
      InputError: if `size_from` changes fields that the config does not have, or there is no config to change.
      OSError, ValueError and others of transformers: if the config is not there, or describes no causal model.
    """
    changes = config.size_from
    if isinstance(changes, str):
        if changes.endswith(".json") and not Path(changes).is_file():  # else the hub would be asked for it
            raise InputError(f"model {config.name!r}: size_from: {changes}: no such file")
        try:
            where = changes if changes.endswith(".json") else described(changes)
        except InputError as error:
            raise InputError(f"model {config.name!r}: size_from: {error}") from None
        known = from_pretrained(AutoConfig, where, trust=config.trust_remote_code, **options)
    elif changes:
        if known is None:
            raise InputError(f"model {config.name!r}: size_from changes its source's config, but it has no source")
        fields = known.to_dict()
        for name in changes:
            if name not in fields:
                raise InputError(
                    f"model {config.name!r}: size_from.{name} is not in the config of {config.source}; "
                    f"{nearest(name, sorted(fields))}"
                )
        known = AutoConfig.for_model(**{**fields, **changes})
    return None if known is None else count_parameters(known, config.trust_remote_code)
