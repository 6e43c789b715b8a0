"""What a decision log keeps of a request."""

from typing import Any

import numpy as np

from hierrouter_jax.outcomes.decision_log import Decision, FailedCall
from hierrouter_jax.serve.engine import Engine
from hierrouter_jax.serve.episode import Choice, Episode


def records_of(episode: Episode, engine: Engine, began: float, cancelled: bool) -> list[Decision]:
    """One record for each decision of a request.

    Args:
      episode: the request, done or given up.
      engine: what carried it out.
      began: time at which it came, in seconds since 1970.
      cancelled: whether the client left before its end.
    """
    ask, bundle = episode.ask, engine.bundle
    names = [member.name for member in engine.members]
    records = []
    for number, choice in enumerate(episode.choices):
        hop = episode.hops[number] if number < len(episode.hops) else None
        failed = [lost for stage, lost in episode.failed if stage == choice.stage]
        lost = [FailedCall(one.model, one.reason, one.seconds, one.probs.tolist()) for one in failed]
        stopped = choice.action == len(names)
        if hop is None and not stopped and lost and lost[-1].model == names[choice.action]:
            lost = lost[:-1]  # it is the action of this record, which no other followed
        records.append(
            Decision(
                episode_id=ask.id,
                stage=choice.stage,
                request_time=began,
                policy=engine.fingerprint,
                table=bundle.table_fingerprint,
                candidates=names,
                mask=choice.mask.tolist(),
                probs=choice.probs,
                action=choice.action,
                explore=str(engine.explore),
                encoder=engine.encoder_spec,
                embedding=choice.embedding,
                spent=choice.spent,
                cost_weight=ask.cost_weight,
                budget=ask.budget,
                charges=choice.charges,
                max_hops=ask.max_hops or bundle.horizon,
                mask_reasons=_reasons(choice, names),
                failed=lost,
                tokens_in=hop.tokens_in if hop else 0,
                tokens_out=hop.tokens_out if hop else 0,
                cost=hop.cost if hop else 0.0,
                seconds=hop.seconds if hop else 0.0,
                finish_reason=hop.finish_reason if hop else "" if stopped else "failed",
                end=_end(episode, bundle.horizon, cancelled) if number + 1 == len(episode.choices) else "",
                settings=_settings(ask.options.fields),
                session_id=ask.session_id,
                task=ask.conversation.reading.task or None,
                question=ask.conversation.reading.query,
                response=hop.response if hop else None,
            )
        )
    return records


def _end(episode: Episode, horizon: int, cancelled: bool) -> str:
    if episode.stopped:
        return "stop"
    if cancelled:
        return "cancelled"
    if len(episode.hops) < len(episode.choices) or episode.trouble:
        return "failed"
    if episode.calls:
        return "tool_calls"
    return "horizon" if len(episode.hops) == horizon else "max_hops"


def _reasons(choice: Choice, names: list[str]) -> list[str]:
    """Why each action could not be taken; empty text where it could."""
    pairs = zip(names, choice.mask[:-1], strict=True)
    reasons = ["" if can else choice.masked.get(name, "over the budget") for name, can in pairs]
    stop = "" if choice.mask[-1] else "no answer yet" if not choice.stage else "the policy does not stop"
    return [*reasons, stop]


def _settings(fields: dict[str, Any]) -> dict[str, Any]:
    """Settings by name; of tools and formats, which hold text, only that there are some."""
    plain = (int, float, str, bool)
    return {name: value if isinstance(value, plain) else np.size(value) for name, value in fields.items()}
