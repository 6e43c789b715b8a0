"""Live routing: the policy chooses, the chosen model answers, hop by hop until STOP or the horizon."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from hierrouter_jax.bridge.backends import Answers, Backend, Doubt, Failure, Generation, drive
from hierrouter_jax.bridge.encoders import TASK, Encoder, same_spec
from hierrouter_jax.bridge.fitting import fitted_prompts
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bridge.transcript import Hop, Transcript, hop_of, so_far
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.pricing import check_budget
from hierrouter_jax.outcomes.table import Context, Prompt, Query


def route(
    queries: Sequence[Query] | Sequence[str],
    bundle: PolicyBundle,
    backends: Sequence[Backend],
    encoder: Encoder,
    prompt: HopPrompt,
    batch_size: int = 512,
    progress: bool = True,
    cost_weight: float | None = None,
    budget: float | None = None,
    task: str = "",
    max_hops: int | None = None,
) -> list[Transcript]:
    """Route queries live, all of them a stage at a time.

    A call that gives no response ends its query's route, whose transcript says so; the others go on.

    Under a budget no call is made whose largest charge, for the prompt's tokens and all the tokens that it may
    write, would take the route past it.

    Args:
      queries: queries, or just their texts, which then get the ids query-0, query-1, ...
      bundle: bundle of the policy.
      backends: the pool that it was trained on, in the same order and at the same prices.
      encoder: encoder of the bundle.
      prompt: layout that the table was collected with.
      batch_size: calls handed to a backend at once.
      progress: whether to show a bar.
      cost_weight: cost weight that a cost-conditioned policy is to serve; by default its own.
      budget: the most that each query's route may cost, in the pool's money unit, for a budgeted policy.
      task: task of the queries that name none, for a policy that reads the task.
      max_hops: largest number of hops of a route, at most the policy's horizon, which is the default.

    Raises:
      InputError: before any call, if a query is empty, the policy takes no such number of hops, pool or encoder are
        not the policy's, the policy was not trained to be told what it is told, or is not told the task that it needs,
        or the budget pays for no first call of some query; or if no call at all was answered, as a backend refuses
        them or is away.
    """
    ids, initial = contexts_of(queries, task)
    texts = [context.query for context in initial]
    bundle.check_told(cost_weight, budget)
    horizon = hops_at_most(bundle, max_hops)
    check_same(bundle, backends, encoder, budget is not None)
    check_task(bundle, ids, initial, task)
    if budget is not None:
        charges = largest_charges(backends, [fitted_prompts(prompt, initial, backend)[0] for backend in backends])
        check_budget(budget, charges.min(axis=1), ids, bundle.money_unit)
    hops: list[list[Hop]] = [[] for _ in texts]
    stopped, failed, away = np.zeros(len(texts), dtype=bool), [""] * len(texts), _Away()
    cost = np.zeros(len(texts))
    with tqdm(total=len(texts) * horizon, desc="route", unit="hop", disable=not progress) as bar:
        for stage in range(horizon):
            rows = np.flatnonzero([not (ended or why) for ended, why in zip(stopped, failed, strict=True)])
            if not rows.size:
                break
            contexts = [so_far(initial[row], hops[row]) for row in rows]
            charges = None
            if budget is not None:
                fitted = [fitted_prompts(prompt, contexts, backend)[0] for backend in backends]
                charges = largest_charges(backends, fitted)
            actions, probabilities = bundle.act(
                encoder.encode(contexts), stage, cost[rows], cost_weight, budget, charges
            )
            stopped[rows[actions == len(backends)]] = True
            bar.update(int((actions == len(backends)).sum()) * (horizon - stage))
            for model, backend in enumerate(backends):
                chosen = np.flatnonzero(actions == model)
                prompts, trimmed = fitted_prompts(prompt, [contexts[at] for at in chosen], backend)
                answers = away.answers(backend, prompts, batch_size, bar)
                for at, prompt_, less in zip(chosen, prompts, trimmed, strict=True):
                    row, answer = rows[at], answers[prompt_]
                    if isinstance(answer, Failure):
                        failed[row] = f"model {backend.name!r} gave no response: {answer.reason}"
                        bar.update(horizon - stage)
                        continue
                    hop = hop_of(backend, answer, probabilities[at], model, less)
                    hops[row].append(hop)
                    cost[row] += hop.cost
    if away.reason and not any(hops):
        raise InputError(away.reason)
    ends = zip(ids, texts, map(tuple, hops), stopped.tolist(), failed, strict=True)
    return [Transcript(name, text, its, ended, budget, why) for name, text, its, ended, why in ends]


def largest_charges(backends: Sequence[Backend], prompts: Sequence[Sequence[Prompt]]) -> Float[np.ndarray, "B M"]:
    """The most that calling each model can cost, before any call, in the pool's money unit.

    Args:
      backends: backends of the pool.
      prompts: B prompts of each model.
    """
    charges = [
        [backend.price.cost(tokens, backend.max_new_tokens) for tokens in backend.count_tokens(its)]
        for backend, its in zip(backends, prompts, strict=True)
    ]
    return np.array(charges).T


def contexts_of(queries: Sequence[Query] | Sequence[str], task: str) -> tuple[list[str], list[Context]]:
    """Ids of the queries, and their contexts before any hop.

    Raises:
      InputError: if a query is empty.
    """
    pairs = [
        (f"query-{row}", Context(q, task=task))
        if isinstance(q, str)
        else (q.id, Context(q.text, shots=q.shots, task=q.task or task))
        for row, q in enumerate(queries)
    ]
    for name, context in pairs:
        if not context.query.strip():
            raise InputError(f"{name} is empty: there is nothing to route")
    return [name for name, _ in pairs], [context for _, context in pairs]


def hops_at_most(bundle: PolicyBundle, max_hops: int | None) -> int:
    """The largest number of hops of a route: the horizon, or less where that is asked for.

    Raises:
      InputError: if it is below 1 or above the horizon.
    """
    if max_hops is not None and not 1 <= max_hops <= bundle.horizon:
        raise InputError(
            f"max_hops is {max_hops}, but must be 1 to {bundle.horizon}, the policy's horizon; a policy of more hops "
            "is trained on a table of a larger --horizon"
        )
    return bundle.horizon if max_hops is None else max_hops


def check_same(bundle: PolicyBundle, backends: Sequence[Backend], encoder: Encoder, budgeted: bool) -> None:
    """Refuse a pool or an encoder that the policy was not trained on; under a budget, other limits too."""
    trained, names = [member.name for member in bundle.pool], [backend.name for backend in backends]
    if trained != names:
        raise InputError(
            f"the policy was trained for the models {', '.join(trained)} in this order, but the pool holds "
            f"{', '.join(names)}"
        )
    for member, backend in zip(bundle.pool, backends, strict=True):
        terms = [(name, getattr(member, name), getattr(backend.price, name)) for name in ("price_in", "price_out")]
        if budgeted:
            terms.append(("max_new_tokens", member.max_new_tokens, backend.max_new_tokens))
        for name, was, now in terms:
            if was != now:
                raise InputError(f"model {member.name!r}: {name} is {was} in the policy, but {now} in the pool")
    if not same_spec(bundle.encoder, encoder.spec):
        raise InputError(f"the policy was trained with the encoder {bundle.encoder}, but {encoder.spec} is given")


def check_task(bundle: PolicyBundle, ids: Sequence[str], contexts: Sequence[Context], task: str) -> None:
    """Refuse queries of no task where the policy reads it, and a task that nothing reads."""
    reads = TASK in bundle.encoder.get("parts", ())
    if task and not reads:
        raise InputError(f"the task {task!r} is given, but the policy's encoder has no part {TASK!r} that reads it")
    nameless = [name for name, context in zip(ids, contexts, strict=True) if not context.task.strip()]
    if reads and nameless:
        raise InputError(f"{nameless[0]} is of no task, which the policy is told: give --task, or a column task")


class _Away:
    """Calls of the pool's backends, of those left alone that refused all of theirs.

    Attributes:
      reason: the first such refusal, as a sentence; empty as a rule.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._reasons: dict[str, str] = {}
        self._doubts: dict[str, Doubt] = {}

    def answers(self, backend: Backend, prompts: Sequence[Prompt], batch_size: int, bar: tqdm) -> Answers:
        """The answer to each prompt, or why there is none."""
        doubt, hops = self._doubts.setdefault(backend.name, Doubt()), Counter(prompts)
        distinct = list(hops) if backend.name not in self._reasons else []
        batches = [distinct[start : start + batch_size] for start in range(0, len(distinct), batch_size)]
        answers: Answers = {}
        try:
            for part in drive(backend, batches, doubt):
                answers |= part
                bar.update(sum(hops[text] for text, answer in part.items() if isinstance(answer, Generation)))
        except InputError as error:
            self._reasons[backend.name] = str(error)
            self.reason = self.reason or f"model {backend.name!r}: {error}"
        lost = Failure(self._reasons.get(backend.name, ""))
        return {prompt: answers.get(prompt, lost) for prompt in prompts}
