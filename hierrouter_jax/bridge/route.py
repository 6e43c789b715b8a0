"""Live routing: the policy chooses, the chosen model answers, hop by hop until STOP or the horizon."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from hierrouter_jax.bridge.backends import Answers, Backend, Doubt, Failure, Generation, NoTokenizer, drive
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

    A call that gives no response ends its query's route, whose transcript says so; the others go on. So does a prompt
    that does not fit the context window of the model that is to answer it.

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
        a model whose tokens must be counted has no tokenizer, or the budget pays for no first call of some query that
        fits a model; or if no call at all was answered, as a backend refuses them or is away, or no prompt fits.
    """
    ids, initial = contexts_of(queries, task)
    texts = [context.query for context in initial]
    bundle.check_told(cost_weight, budget)
    horizon = hops_at_most(bundle, max_hops)
    check_same(bundle, backends, encoder, budget is not None)
    check_task(bundle, ids, initial, task)
    for backend in backends:
        fitted_prompts(prompt, [], backend)  # refuses one that is to fit prompts and cannot count tokens
    hops: list[list[Hop]] = [[] for _ in texts]
    stopped, failed, away, misfit = np.zeros(len(texts), dtype=bool), [""] * len(texts), _Away(), ""
    if budget is not None:
        fitted = [_fitted(prompt, initial, backend)[0] for backend in backends]
        smallest = largest_charges(backends, fitted).min(axis=1)
        fits = np.isfinite(smallest)
        check_budget(budget, smallest[fits], [ids[row] for row in np.flatnonzero(fits)], bundle.money_unit)
        for row, first in enumerate(fitted[0]):
            if isinstance(first, Failure) and not fits[row]:
                failed[row] = misfit = f"it fits no model; model {backends[0].name!r}: {first.reason}"
    cost = np.zeros(len(texts))
    with tqdm(total=len(texts) * horizon, desc="route", unit="hop", disable=not progress) as bar:
        for stage in range(horizon):
            rows = np.flatnonzero([not (ended or why) for ended, why in zip(stopped, failed, strict=True)])
            if not rows.size:
                break
            contexts = [so_far(initial[row], hops[row]) for row in rows]
            charges = None
            if budget is not None:
                charges = largest_charges(backends, [_fitted(prompt, contexts, backend)[0] for backend in backends])
            actions, probabilities = bundle.act(
                encoder.encode(contexts), stage, cost[rows], cost_weight, budget, charges
            )
            stopped[rows[actions == len(backends)]] = True
            bar.update(int((actions == len(backends)).sum()) * (horizon - stage))
            for model, backend in enumerate(backends):
                chosen = np.flatnonzero(actions == model)
                fitted, trimmed = _fitted(prompt, [contexts[at] for at in chosen], backend)
                prompts = [one for one in fitted if not isinstance(one, Failure)]
                answers = away.answers(backend, prompts, batch_size, bar)
                for at, one, less in zip(chosen, fitted, trimmed, strict=True):
                    row, answer = rows[at], one if isinstance(one, Failure) else answers[one]
                    if isinstance(answer, Failure):
                        failed[row] = f"model {backend.name!r} gave no response: {answer.reason}"
                        misfit = misfit or (failed[row] if answer is one else "")
                        bar.update(horizon - stage)
                        continue
                    hop = hop_of(backend, answer, probabilities[at], model, less)
                    hops[row].append(hop)
                    cost[row] += hop.cost
    if (refusal := away.reason or misfit) and not any(hops):
        raise InputError(refusal)
    ends = zip(ids, texts, map(tuple, hops), stopped.tolist(), failed, strict=True)
    return [Transcript(name, text, its, ended, budget, why) for name, text, its, ended, why in ends]


def _fitted(
    layout: HopPrompt, contexts: Sequence[Context], backend: Backend
) -> tuple[Sequence[Prompt | Failure], Sequence[int]]:
    """As `fitted_prompts`; in place of a prompt that does not fit, why not, and the others all the same."""
    try:
        return fitted_prompts(layout, contexts, backend)
    except NoTokenizer:
        raise
    except InputError as error:
        if len(contexts) == 1:
            return [Failure(str(error).removeprefix(f"model {backend.name!r}: "))], [0]
        alone = [_fitted(layout, [context], backend) for context in contexts]
        return [one for (one,), _ in alone], [less for _, (less,) in alone]


def largest_charges(
    backends: Sequence[Backend], prompts: Sequence[Sequence[Prompt | Failure]]
) -> Float[np.ndarray, "B M"]:
    """The most that calling each model can cost, before any call, in the pool's money unit.

    Args:
      backends: backends of the pool.
      prompts: B prompts of each model; a failure in place of one that does not fit, whose charge is infinite.
    """
    charges = np.full((len(backends), len(prompts[0])), np.inf)
    for row, (backend, its) in enumerate(zip(backends, prompts, strict=True)):
        fit = [at for at, one in enumerate(its) if not isinstance(one, Failure)]
        tokens = backend.count_tokens([one for one in its if not isinstance(one, Failure)])
        charges[row, fit] = [backend.price.cost(read, backend.max_new_tokens) for read in tokens]
    return charges.T


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
