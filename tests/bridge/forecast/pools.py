"""A pool of two models, three queries of two texts, and what is assumed of them."""

from hierrouter_jax.bridge.forecast import (
    Assumptions,
    StatedSize,
)
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.outcomes.table import Query

QUERIES = [Query(f"q{row}", text, "task", "1", "test") for row, text in enumerate(("abc", "abcde", "abc"))]
POOL = PoolConfig(
    models=(
        ModelConfig("small", "none/small", max_new_tokens=10, base_rate=1.0),
        ModelConfig("large", "none/large", max_new_tokens=20, price_in=2.0, price_out=3.0),
    )
)
TAKEN = Assumptions(
    device="a slide rule",
    peak_flops=1.0,
    reading_utilisation=0.5,
    writing_utilisation=0.25,
    response_tokens={"task": 6},
    characters_per_token=1.0,
    sizes={"none/small": StatedSize(100, 1, 1), "none/large": StatedSize(200, 2, 2, response_tokens=12)},
)
