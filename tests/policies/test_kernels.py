"""Products that are fast on a CPU give the plain products' numbers and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.policies.kernels import by_vector_moves, project, project_few


@pytest.mark.parametrize("width", [4, 9])
@pytest.mark.parametrize("shape", [(7, 5), (2, 3, 5)])
@pytest.mark.parametrize("product", [project, partial(project, gathered=True), project_few])
def test_the_products_own_gradients_are_the_plain_ones(product, shape, width):
    x, kernel = jax.random.normal(jax.random.key(0), shape), jax.random.normal(jax.random.key(1), (5, width))

    def loss(product):
        return lambda x, kernel: jnp.sum(jnp.sin(product(x, kernel)))

    np.testing.assert_allclose(product(x, kernel), x @ kernel, rtol=1e-5, atol=1e-5)
    ours = jax.jit(jax.grad(loss(product), argnums=(0, 1)))(x, kernel)
    theirs = jax.grad(loss(jnp.matmul), argnums=(0, 1))(x, kernel)
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-5)
    stacked = jax.vmap(jax.grad(loss(product), argnums=1), in_axes=(None, 0))(x, jnp.stack([kernel, 2 * kernel]))
    np.testing.assert_allclose(stacked[0], theirs[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16])
def test_moved_rows_are_the_rows(dtype):
    rows = jnp.array([[0.0, -1.5, 2.0], [jnp.finfo(dtype).min, jnp.finfo(dtype).max, 0.25]], dtype)
    moved = jax.jit(by_vector_moves)(rows)
    assert moved.dtype == dtype
    np.testing.assert_array_equal(moved, rows)
