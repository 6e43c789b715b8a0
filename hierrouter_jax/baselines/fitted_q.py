"""Fitted Q on the partial hop trees of a log: what each action returns at a context, from the last hop back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hierrouter_jax.baselines.kernel import CHANGE, QUERY
from hierrouter_jax.baselines.regressors import Fitted
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.log_trees import LogTrees


@dataclass(frozen=True)
class ContextParts:
    """A context in two parts: the query, and what the responses changed in its embedding since.

    Attributes:
      query, change: affine map of each part, mean [X] and directions [X, F], to unit mean square on the log.
    """

    query: tuple[Float[np.ndarray, " X"], Float[np.ndarray, "X F"]]
    change: tuple[Float[np.ndarray, " X"], Float[np.ndarray, "X G"]]

    @classmethod
    def fit(cls, trees: LogTrees) -> "ContextParts":
        root = trees.embedding[trees.context_at()[trees.context_query, 0]]
        later = trees.context_node > 0
        return cls(_directions(root[~later], QUERY), _directions((trees.embedding - root)[later], CHANGE))

    def __call__(self, root: Float[np.ndarray, "R X"], embedding: Float[np.ndarray, "R X"]) -> Float[np.ndarray, "R F"]:
        """The parts of contexts, side by side.

        Args:
          root: embedding of each context's query, before the first hop.
          embedding: embedding of the contexts.
        """
        (centre, query), (mean, change) = self.query, self.change
        later = (embedding != root).any(axis=1, keepdims=True)
        return np.concatenate([(root - centre) @ query, later * ((embedding - root - mean) @ change)], axis=1)


@dataclass(frozen=True)
class FittedQ:
    """What each action returns at a context, for a policy that then acts best by the same predictions.

    Attributes:
      parts: map of contexts to what the regressors read.
      stages: one regression for each stage.
      at_contexts: values of the actions at each context of the log, [C, A], between the least and the largest target.
      held_out: the same, each predicted without the context's query, and not bounded, [C, A].
      target: what each action was found to return at each context, [C, A]; NaN where the log does not say.
    """

    parts: ContextParts
    stages: tuple[Fitted, ...]
    at_contexts: Float[np.ndarray, "C A"]
    held_out: Float[np.ndarray, "C A"]
    target: Float[np.ndarray, "C A"]

    def values(
        self, root: Float[np.ndarray, "R X"], embedding: Float[np.ndarray, "R X"], stage: int
    ) -> Float[np.ndarray, "R A"]:
        """Values of the M models and STOP at contexts of one stage; those that the log knows nothing of are lowest."""
        return np.nan_to_num(self.stages[stage].predict(self.parts(root, embedding)), nan=-1e30)


Regression = Callable[..., Fitted]  # of x, y, which of y are known, and the query of each row


def fit_q(trees: LogTrees, regression: Regression, cost_weight: float) -> FittedQ:
    """Fitted Q iteration (Ernst, Geurts and Wehenkel, 2005) backwards over the stages of a log's partial trees.

    The target of an action is what it returned: the money of its hop, by its weight, and what the node that it led to
    is worth. That is the quality of an answer that was given there, or the return of the best action there by
    predictions made without the query: the action's own target where the log tried it, its prediction elsewhere. So
    no target is a maximum over noise, and what several episodes of a query saw counts together.

    Args:
      regression: regression of the values of all actions.
      cost_weight: cost weight of the return, per money unit.
    """
    parts = ContextParts.fit(trees)
    place = trees.context_at()
    x = parts(trees.embedding[place[trees.context_query, 0]], trees.embedding)
    worth = trees.quality.copy()
    models, actions = trees.tree.num_models, trees.tree.num_models + 1
    at_contexts, held_out, targets = (np.full((len(x), actions), np.nan) for _ in range(3))
    stages: list[Fitted] = []
    for stage in reversed(range(trees.tree.horizon)):
        here = np.flatnonzero(trees.stage == stage)
        query, node = trees.context_query[here], trees.context_node[here]
        target = np.empty((len(here), actions))
        children = trees.tree.child(node[:, None], np.arange(models))
        target[:, :models] = (worth - cost_weight * trees.cost)[query[:, None], children]
        target[:, models] = np.where(trees.tried[here, models], trees.quality[query, node], np.nan)
        known = np.isfinite(target) & trees.tried[here]
        low, high = (target[known].min(), target[known].max()) if known.any() else (0.0, 0.0)
        fitted = regression(x[here], np.where(known, target, 0.0), known, query)
        held_out[here] = fitted.held_out()
        targets[here] = np.where(known, target, np.nan)
        at_contexts[here] = np.clip(np.nan_to_num(fitted.predict(x[here]), nan=low), low, high)
        predicted = np.where(trees.legal[here], np.nan_to_num(held_out[here], nan=-1e30), -np.inf)
        best = predicted.argmax(axis=1)
        row = np.arange(len(here))
        value = np.where(known[row, best], target[row, best], np.clip(predicted[row, best], low, high))
        worth[query, node] = value
        stages.append(fitted)
    return FittedQ(parts, tuple(stages[::-1]), at_contexts, held_out, targets)


def doubly_robust_values(q: FittedQ, trees: LogTrees, episodes: Episodes) -> Float[np.ndarray, "C A"]:
    """Doubly robust pseudo-outcomes: the held-out prediction, and what was found beyond it over the propensity.

    q(c, a) + mean over the decisions at c of 1[a_i = a] j_i / (b_i(a) s) (target(c, a) - q(c, a)) (Dudik et al. 2011).
    What a last decision came to is known where its episode was judged (j_i), which happens to a share s of them; both
    are 1 of a decision that led on. Where predictions are wrong and propensities right, and whether an episode is
    judged is chance, these are right on average; and the other way round. An action without a target keeps its
    prediction.

    Args:
      q: values fitted on `trees`, which are those of the episodes.
    """
    rows, stages = np.nonzero(episodes.taken)
    context = trees.context_at()[trees.query[rows], trees.node[rows, stages]]
    last = stages == episodes.taken.sum(axis=1)[rows] - 1
    has_quality = np.isfinite(episodes.quality)
    counts = np.where(last, has_quality[rows] / (has_quality.mean() or 1.0), 1.0)
    weight = np.zeros_like(q.held_out)
    np.add.at(weight, (context, episodes.action[rows, stages]), counts / episodes.propensity[rows, stages])
    weight /= np.bincount(context, minlength=len(weight))[:, None]
    beyond = np.where(np.isfinite(q.target), q.target - q.held_out, 0.0)
    return np.nan_to_num(q.held_out + weight * beyond, nan=float(np.nanmin(q.target)))


def grouped(regressor: Callable[..., Fitted]) -> Regression:
    """A regressor of single rows as a regression that ignores which rows are of one query."""
    return lambda x, y, known, query: regressor(x, y, known)


def _directions(x: Float[np.ndarray, "R X"], size: int) -> tuple[Float[np.ndarray, " X"], Float[np.ndarray, "X F"]]:
    """Mean and leading principal directions, scaled so that the rows have unit mean square along them together.

    There are always F = `size` of them, as a kernel tells the parts of a context apart by their columns; those that a
    narrower embedding lacks are 0.
    """
    from scipy.linalg import eigh

    mean = x.mean(axis=0, dtype=np.float64) if len(x) else np.zeros(x.shape[1])
    centred = x - mean
    width = x.shape[1]
    least = max(0, width - size)
    variance, vectors = eigh(centred.T @ centred / max(1, len(x)), subset_by_index=(least, width - 1))
    total = np.maximum(variance, 0.0).sum()
    scaled = vectors[:, ::-1] / np.sqrt(total if total > 0 else 1.0)
    return mean, np.pad(scaled, ((0, 0), (0, size - scaled.shape[1])))
