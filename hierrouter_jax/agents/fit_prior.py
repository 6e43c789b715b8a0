"""Predict, then plan: a regularised linear fit of every action's return, stage by stage from the last, in closed form.

The plan's scores are what a policy can start from and add to (`LearnerStatic.prior`): where there is nothing more to
be learnt, the policy stays the plan, and where features tell nothing, the plan is the best action of each task.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.agents.batching import draw_trees
from hierrouter_jax.agents.guidance import optimal_policy
from hierrouter_jax.agents.optimizer import apply_gradient
from hierrouter_jax.agents.ppo import weighted_mean
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.routing import decision_masks, entering_rewards, leaves, stopping_rewards
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.tree_policy import best_actions, run_network
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import RouterNetwork
from hierrouter_jax.policies.prior import PriorWeights

FOLDS = 5
# Penalties tried, per training row, on features whose mean variance is about 1.
RIDGES = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_TASK_RIDGE = 1.0  # rows' worth of the overall mean that each task's mean is drawn towards
_CLASS_RIDGE = 0.1  # of the tasks' shared covariance, in shares of its mean variance


class Design(NamedTuple):
    """A stage's rows: S nodes of Q queries.

    Attributes:
      rows: features and the probability of each task [Q, S, F + T].
      mask: whether each action is legal [Q, S, A], bool.
      gram: products X^T X of each fold's rows for which the action is legal [K, A, F + T, F + T].
      task_kernel, task_bias: weights [F, T] and bias [T] of the task classifier.
    """

    rows: Float[Array, "Q S G"]
    mask: Bool[Array, "Q S A"]
    gram: Float[Array, "K A G G"]
    task_kernel: Float[Array, "F T"]
    task_bias: Float[Array, " T"]


def fit_prior(table: DeviceTable, static: LearnerStatic, hyper: LearnerHyper) -> PriorWeights:
    """The plan, its penalty chosen by the return of held-out training queries.

    In every one of K folds of queries the plan of each penalty is fitted without the fold and followed on it. Of the
    penalties whose mean return is within `prior_caution` paired standard errors of the best, the largest is taken
    (Breiman et al. 1984), and the plan fitted again on all. Scores are over `prior_temperature`.
    """
    designs = [stage_design(table, static, stage) for stage in range(table.tree.horizon)]
    fold = folds(table)
    everyone = jnp.ones(FOLDS)

    def held_out(ridge: Float[Array, ""]) -> Float[Array, " Q"]:
        def one(left: Int[Array, ""]) -> Float[Array, " Q"]:
            return jnp.where(fold == left, plan(table, designs, everyone.at[left].set(0.0), ridge, hyper)[1], 0.0)

        return jnp.sum(jax.lax.map(one, jnp.arange(FOLDS)), axis=0)

    ridges = jnp.asarray(RIDGES)
    returns = jax.lax.map(held_out, ridges)
    best = jnp.argmax(jnp.mean(returns, axis=1))
    behind = returns[best] - returns
    error = standard_error(behind, table)
    near = jnp.mean(behind, axis=1) <= hyper.prior_caution * error + 1e-9
    ridge = jnp.max(jnp.where(near, ridges, 0.0))
    weights, _ = plan(table, designs, everyone, ridge, hyper)
    warmth = 1 / hyper.prior_temperature
    return PriorWeights(weights.kernel * warmth, weights.means * warmth, weights.task_kernel, weights.task_bias)


def folds(table: DeviceTable) -> Int[Array, " Q"]:
    """Which of the K folds each query is in; all rows of a question are in one."""
    return (jnp.arange(table.num_queries) if table.question is None else table.question) % FOLDS


def standard_error(values: Float[Array, "*B Q"], table: DeviceTable) -> Float[Array, "*B"]:
    """Standard error of the mean over queries, where rows of one question are one piece of evidence.

    It is sqrt(sum_g s_g^2) / Q, s_g being the sum of the deviations of question g's rows.
    """
    if table.question is None:
        return jnp.std(values, axis=-1) / jnp.sqrt(table.num_queries)
    about = values - jnp.mean(values, axis=-1, keepdims=True)
    by_question = jnp.zeros_like(about).at[..., table.question].add(about)
    return jnp.sqrt(jnp.sum(by_question**2, axis=-1)) / table.num_queries


def plan(
    table: DeviceTable,
    designs: list[Design],
    fold_weight: Float[Array, " K"],
    ridge: Float[Array, ""] | float,
    hyper: LearnerHyper,
) -> tuple[PriorWeights, Float[Array, " Q"]]:
    """Backward over the stages: fit every action's return, take the best predicted action, pass on what it earned.

    What is passed on is the outcome of the chosen action, not its prediction, so that no optimism adds up on the way.

    Args:
      fold_weight: weight of each of the K folds of queries; 0 hides a fold from the fit.
      ridge: ridge penalty per training row.

    Returns:
      Weights, and the return of following the plan from every query's root.
    """
    tree = table.tree
    entering = entering_rewards(table, hyper.reward, hyper.gamma)
    stopping = stopping_rewards(table, hyper.reward, hyper.gamma)
    leaf = leaves(table)
    fold = folds(table)
    below = jnp.zeros_like(table.quality[:, tree.stage_slice(tree.horizon)])
    kernels, means = [], []
    for stage in reversed(range(tree.horizon)):
        here, design = tree.stage_slice(stage), designs[stage]
        entered = entering[:, tree.stage_slice(stage + 1)] + hyper.gamma * below
        returns = jnp.concatenate(
            [entered.reshape(table.num_queries, -1, tree.num_models), stopping[:, here, None]], axis=-1
        )
        solution = _ridge(design, returns, fold_weight, fold_weight[fold], ridge)
        features = design.rows.shape[-1] - design.task_bias.shape[0]
        kernels.append(solution[:features])
        means.append(solution[features:])
        predicted = jnp.where(design.mask, design.rows @ solution, -jnp.inf)
        best = best_actions(predicted, table.tie_order)[..., None]
        below = jnp.where(leaf[:, here], 0.0, jnp.take_along_axis(returns, best, axis=-1)[..., 0])
    weights = PriorWeights(
        kernel=jnp.stack(kernels[::-1]),
        means=jnp.stack(means[::-1]),
        task_kernel=jnp.stack([design.task_kernel for design in designs]),
        task_bias=jnp.stack([design.task_bias for design in designs]),
    )
    return weights, below[:, 0]


def _ridge(
    design: Design,
    returns: Float[Array, "Q S A"],
    fold_weight: Float[Array, " K"],
    weight: Float[Array, " Q"],
    ridge: Float[Array, ""] | float,
) -> Float[Array, "G A"]:
    """Every action's return by ridge regression on the rows where it is legal, about its own mean.

    Features are penalised by `ridge` a row; tasks' means hardly, so that the rest is what features add to them. An
    action that was never legal scores 0 everywhere: it is masked wherever it could be chosen.
    """
    tasks = design.task_bias.shape[0]
    seen = jnp.where(design.mask, weight[:, None, None], 0.0)
    count = jnp.sum(seen, axis=(0, 1))
    mean = jnp.sum(seen * jnp.where(design.mask, returns, 0.0), axis=(0, 1)) / jnp.maximum(count, 1.0)
    centred = jnp.where(design.mask, returns - mean, 0.0)
    gram = jnp.tensordot(fold_weight, design.gram, axes=1)
    right = jnp.einsum("qsg,qsa->ag", design.rows, seen * centred)
    size = gram.shape[-1]
    is_task = jnp.arange(size) >= size - tasks
    penalty = jnp.where(is_task, _TASK_RIDGE, ridge * count[:, None] + 1e-6)
    system = gram + jax.vmap(jnp.diag)(penalty)
    solution = jax.vmap(partial(jax.scipy.linalg.solve, assume_a="pos"))(system, right).T
    # How likely the tasks are adds up to 1, so the mean goes back in through them.
    return solution.at[size - tasks :].add(mean)


def stage_design(table: DeviceTable, static: LearnerStatic, stage: int) -> Design:
    """The rows of a stage, and what of them no penalty changes."""
    nodes = table.tree.stage_slice(stage)
    features = table.features[:, nodes].astype(jnp.float32)
    mask = decision_masks(table, static.allow_stop)[:, nodes]
    mask = mask & ~leaves(table)[:, nodes, None]  # nothing is decided there
    used = jnp.any(mask, axis=-1)
    kernel, bias = classifier(features, used, table.task, table.num_tasks)
    task = jax.nn.softmax(features @ kernel + bias)
    rows = jnp.concatenate([features, task], axis=-1)
    fold = folds(table)

    def gram(which: tuple[Int[Array, ""], Int[Array, ""]]) -> Float[Array, "G G"]:
        left, action = which
        some = jnp.where((fold == left)[:, None, None] & mask[:, :, action, None], rows, 0.0)
        return jnp.einsum("qsg,qsh->gh", some, rows)

    pairs = jnp.meshgrid(jnp.arange(FOLDS), jnp.arange(mask.shape[-1]), indexing="ij")
    grams = jax.lax.map(gram, tuple(axis.ravel() for axis in pairs))
    return Design(rows, mask, grams.reshape(FOLDS, mask.shape[-1], *grams.shape[1:]), kernel, bias)


@partial(jax.jit, static_argnums=3)
def classifier(
    features: Float[Array, "Q S F"], used: Bool[Array, "Q S"], task: Int[Array, " Q"], tasks: int
) -> tuple[Float[Array, "F T"], Float[Array, " T"]]:
    """Linear discriminant analysis of the task: the softmax of x C + c is how likely each is (Fisher 1936).

    The shared covariance is drawn a little towards its mean variance. A task without rows is never likely.
    """
    weight = used.astype(features.dtype)
    member = jax.nn.one_hot(task, tasks, dtype=features.dtype)[:, None] * weight[..., None]
    count = jnp.sum(member, axis=(0, 1))
    mean = jnp.einsum("qst,qsf->tf", member, features) / jnp.maximum(count, 1.0)[:, None]
    about = (features - jnp.einsum("qst,tf->qsf", member, mean)) * weight[..., None]
    covariance = jnp.einsum("qsf,qsg->fg", about, about) / jnp.maximum(jnp.sum(count), 1.0)
    size = features.shape[-1]
    covariance += (_CLASS_RIDGE * jnp.trace(covariance) / size + 1e-6) * jnp.eye(size)
    kernel = jax.scipy.linalg.solve(covariance, mean.T, assume_a="pos")
    share = count / jnp.maximum(jnp.sum(count), 1.0)
    bias = jnp.log(jnp.maximum(share, 1e-9)) - 0.5 * jnp.sum(mean * kernel.T, axis=-1)
    return kernel, jnp.where(count > 0, bias, -1e4)


def warm_start(
    key: PRNGKeyArray,
    params: Any,
    optimizer: Any,
    table: DeviceTable,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
) -> Any:
    """Parameters after `warm_start` epochs of imitating the best actions at every node of every query.

    The best actions are those of backward induction over the table; where several are equally good they share the
    probability. Every stage weighs the same, however many nodes it has.
    """
    size = min(table.num_queries, static.num_envs // static.minibatches)
    steps = static.warm_start * max(1, table.num_queries // size)

    def step(carry, inputs):
        step_key, progress = inputs
        trees, conditions = draw_trees(step_key, table, size, static, hyper)
        gradient = jax.grad(imitation_loss)(carry[0], trees, conditions, network, static, hyper)
        return apply_gradient(carry[0], carry[1], gradient, hyper, progress), None

    inputs = jax.random.split(key, steps), jnp.arange(steps) / steps
    (params, _), _ = jax.lax.scan(step, (params, optimizer), inputs)
    return params


def imitation_loss(
    params: Any,
    table: DeviceTable,
    conditions: Conditions,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
) -> Float[Array, ""]:
    """Cross-entropy from the best actions to the policy, every stage weighing the same."""
    policy = run_network(network, params, table, conditions, static.allow_stop, hyper.ranges)
    log_probs, mask = policy.log_probs(), policy.mask
    target = optimal_policy(table, mask, conditions, hyper)
    decisions = table.tree.num_decision_nodes
    weight = float(table.tree.num_models) ** -table.tree.stages[:decisions].astype(float)
    open_nodes = jnp.sum(mask, axis=-1) > 1
    return weighted_mean(-jnp.sum(jnp.where(target > 0, target * log_probs, 0.0), axis=-1), open_nodes * weight)
