"""A network with residual layers."""

import jax.numpy as jnp
from flax import linen as nn


class Deep(nn.Module):
    num_actions: int
    horizon: int
    hidden: tuple[int, ...]
    stage_size: int

    @nn.compact
    def __call__(self, seen):
        stage = nn.Embed(self.horizon, self.stage_size)(seen.stage)
        features = seen.features.astype(stage.dtype)  # a table may hold half precision
        x = jnp.concatenate([features, stage, seen.spent[..., None], seen.conditions], axis=-1)
        x = nn.Dense(self.hidden[0])(x)
        for width in self.hidden[1:]:
            x = x + nn.Dense(self.hidden[0])(nn.relu(nn.Dense(width)(nn.LayerNorm()(x))))
        return nn.Dense(self.num_actions)(x), nn.Dense(1)(x)[..., 0]
