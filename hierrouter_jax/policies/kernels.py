"""Products and copies that XLA makes slowly on a CPU, written so that they are fast there too."""

import operator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def project(x: Float[Array, "*B F"], kernel: Float[Array, "F H"], gathered: bool = False) -> Float[Array, "*B H"]:
    """x @ kernel, whose gradient towards the kernel is fast on a CPU too.

    Args:
      gathered: whether x are rows of a table, copied for this product.
    """
    product: Any = _project(x, kernel, gathered)
    return product


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _project(x, kernel, gathered):
    return x @ kernel


def _project_forward(x, kernel, gathered):
    return x @ kernel, (x, kernel)


def _project_backward(gathered, saved, g):
    x, kernel = saved
    # Rows of a table are not transposed: see `by_vector_moves`.
    return g @ kernel.T, _kernel_gradient(x, g, transpose_g=gathered or g.shape[-1] < x.shape[-1])


_project.defvjp(_project_forward, _project_backward)


@jax.custom_vjp
def project_few(x: Float[Array, "*B F"], kernel: Float[Array, "F H"]) -> Float[Array, "*B H"]:
    """x @ kernel of few columns, as a sum of outer products, which XLA computes within what it is added to."""
    kernel = jax.lax.optimization_barrier(kernel)  # once, not for every row
    return reduce(operator.add, (x[..., column, None] * kernel[column] for column in range(len(kernel))))


def _project_few_forward(x, kernel):
    return project_few(x, kernel), (x, kernel)


def _project_few_backward(saved, g):
    x, kernel = saved
    return g @ kernel.T, _kernel_gradient(x, g, transpose_g=False)


project_few.defvjp(_project_few_forward, _project_few_backward)


def _kernel_gradient(x: Float[Array, "*B F"], g: Float[Array, "*B H"], transpose_g: bool) -> Float[Array, "F H"]:
    """x^T @ g, summed over all rows.

    On a CPU it runs at two thirds of the speed of a product whose left side lies transposed in memory already, so
    one of the two is transposed first. XLA would fold the transposition back into the product, hence the barriers.
    """
    rows, columns = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    barrier = jax.lax.optimization_barrier

    def transposed_first(rows, columns):
        if transpose_g:
            return barrier(barrier(columns.T) @ rows).T
        return barrier(rows.T) @ columns

    return jax.lax.platform_dependent(
        rows, columns, cpu=transposed_first, default=lambda rows, columns: rows.T @ columns
    )


def by_vector_moves(rows: Float[Array, "*B F"]) -> Float[Array, "*B F"]:
    """Rows of a table as they are, in a form that a CPU copies at three times the speed.

    Copies of up to some 75 numbers XLA unrolls into moves of single ones; of numbers that something is computed of it
    makes a loop of vectors, provided that the copy is used by products alone.
    """
    return jnp.maximum(rows, jnp.finfo(rows.dtype).min)
