"""The model card of a policy bundle: what a stranger should know before routing with it."""

import json
from collections.abc import Mapping
from typing import Any

from hierrouter_jax.bundle_checks import PolicyFields
from hierrouter_jax.bundle_logits import ENSEMBLE, NETWORK

CARD = "README.md"
ONNX, STABLEHLO = OTHER_FORMS = ("policy.onnx", "policy.stablehlo")  # the policy for other runtimes, beside the bundle
_OPPONENT = "best-single"  # the row beside the router's own
_CHOSEN = "chosen"  # the row of the policy that the evaluation's `chosen` names


def model_card(policy: PolicyFields, evaluation: Mapping[str, Any] | None = None) -> str:
    """The card as Markdown, with the YAML header that the Hugging Face hub reads.

    Args:
      policy: fields of the bundle.
      evaluation: content of an `evaluation.json` of the run that the router is of; None where there is none.
    """
    name = _name(policy)
    stop = policy.may_stop
    facts = {
        "horizon": f"at most {policy.horizon} calls of a model for a query"
        + (", fewer where it stops" if stop else ""),
        "encoder": f"`{json.dumps(policy.encoder, sort_keys=True)}`",
        "trained on": f"the outcome table of fingerprint `{policy.table_fingerprint}`",
        "told": ", ".join(f"{what.replace('_', ' ')} in {low:g} to {high:g}" for what, (low, high) in _told(policy)),
        "provenance": f"`{json.dumps(policy.provenance, sort_keys=True)}`",
    }
    told_options = "".join(f" --{what}=X" for what, _ in _told(policy))
    return f"""---
library_name: hierrouter_jax
tags:
- llm-routing
---
# {name}: a router of {len(policy.pool)} language models

The router reads a query and chooses the model that answers it. It reads the answer, and chooses the next
model{", or stops" if stop else ""}.

| | |
| --- | --- |
{_rows(facts)}

The pool, with prices in {policy.money_unit} per token:

| model | price of a token read | price of a token written |
| --- | --- | --- |
{"".join(f"| {_cell(one.name)} | {one.price_in:g} | {one.price_out:g} |" + chr(10) for one in policy.pool)}
## Evaluation

{_evaluation(policy, evaluation)}

## Intended use

Routing queries like those of the table that it was trained on, among exactly these models, in this order and at these
prices. Elsewhere its choices are untested; `hierrouter transfer` measures what they lose.

## Limits

- It is greedy: it takes the action of the largest probability, which is no statement of how sure it is.
- A model that is updated behind its name, other prompts or other generation settings make other answers than those
  that it learned from.
- Its training rewards graded answers. It does not judge whether a query should be answered at all.

## How to load

```bash
hierrouter route "A question" --policy FOLDER --pool POOL.yaml{told_options}
```

```python
import hierrouter_jax as hr

bundle = hr.PolicyBundle.load("FOLDER")  # NumPy alone; bundle.logits and bundle.act
```
"""


def _told(policy: PolicyFields) -> list[tuple[str, list[float]]]:
    return list(policy.conditions.items())


def _rows(facts: Mapping[str, str]) -> str:
    return "\n".join(f"| {name} | {_cell(text)} |" for name, text in facts.items() if text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _name(policy: PolicyFields) -> str:
    """Its name among the policies that a run may export."""
    learner = str(policy.provenance.get("learner", "router"))
    return f"{learner} ensemble" if policy.kind == ENSEMBLE else learner


def _own_row(policy: PolicyFields, evaluation: Mapping[str, Any]) -> str:
    """Name of the evaluation's row that is of this very policy, whether or not it is there.

    A row with a learner's name is of one seed's network, and one with an opponent's name is of the opponent, which may
    be told the task. So an ensemble, a plan and a task-sequence have no row but `chosen`.
    """
    if policy.kind == NETWORK:
        return _name(policy)
    chosen = evaluation.get("chosen") or {}
    return _CHOSEN if (chosen.get("policy"), chosen.get("kind")) == (_name(policy), policy.kind) else ""


def _evaluation(policy: PolicyFields, evaluation: Mapping[str, Any] | None) -> str:
    by_name = {row["name"]: row for row in evaluation["policies"]} if evaluation else {}
    own = _own_row(policy, evaluation) if evaluation else ""
    if evaluation is None or own not in by_name:
        return "No evaluation of this router was at hand when it was exported."
    shown = {_name(policy): by_name[own]}
    if _OPPONENT in by_name:
        shown[_OPPONENT] = by_name[_OPPONENT]
    table, unit = evaluation["table"], evaluation.get("money_unit", policy.money_unit)
    lines = [
        f"{table['queries']:,} queries of the split `{table['split']}`, exactly, with 95 % intervals. Cost is that of "
        f"a query, in {unit}.",
        "",
        "| policy | accuracy | cost | calls | return |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in shown.items():
        lines.append(
            f"| {_cell(name)} | {row['accuracy']:.3f}{_interval(row, 'accuracy_ci')} | "
            f"{row['cost']:.4g}{_interval(row, 'cost_ci')} | {row['hops']:.2f} | {row['return']:.3f} |"
        )
    return "\n".join(lines)


def _interval(row: Mapping[str, Any], name: str) -> str:
    ends = row.get(name)
    return f" [{ends[0]:.4g}, {ends[1]:.4g}]" if ends else ""
