"""Self-contained pages that show a run, several runs, a comparison or a sweep."""

from hierrouter_jax.moved import make_callable

make_callable(__name__)  # `hierrouter_jax.report(runs)` is the verb
