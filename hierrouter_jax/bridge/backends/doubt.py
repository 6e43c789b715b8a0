"""Doubt about an endpoint: whether a refused call is the call's own fault or every call's."""

from hierrouter_jax.bridge.backends.interface import Answers, Failure
from hierrouter_jax.errors import InputError

FIRST_CALLS = 8


class Doubt:
    """Refusals that are held back until it is known whose fault they are.

    A refusal is the call's own as soon as the endpoint has answered another call of the run. Where it refuses each of
    the run's first eight, or all where there are fewer, the run ends: its key, model name or settings are wrong. An
    endpoint that is away ends the run unless it answers one of the calls that are under way.

    Args:
      answered_before: whether an earlier run had an answer of this endpoint, so that fewer than eight refusals are
        the calls' own.

    Attributes:
      answered: whether it has answered a call of this run.
    """

    def __init__(self, answered_before: bool = False) -> None:
        self.answered, self._before = False, answered_before
        self._held: Answers = {}  # failures only

    @property
    def holds(self) -> bool:
        """Whether no further call should begin before those under way have ended."""
        return len(self._held) >= FIRST_CALLS or any(
            isinstance(failure, Failure) and failure.scope == "away" for failure in self._held.values()
        )

    def judged(self, answers: Answers, refused_before: frozenset = frozenset()) -> Answers:
        """The answers that are certain, of these and of those held back.

        Args:
          answers: of calls that have just ended.
          refused_before: prompts whose refusal says nothing new, as an earlier run met it too.
        """
        if any(not isinstance(answer, Failure) for answer in answers.values()):
            self.answered = True
            certain = {**self._held, **answers}
            self._held.clear()
            return certain
        doubtful = {
            prompt: failure
            for prompt, failure in answers.items()
            if isinstance(failure, Failure)
            and (
                failure.scope == "away"
                or (failure.scope == "refused" and not self.answered and prompt not in refused_before)
            )
        }
        self._held |= doubtful
        return {prompt: answer for prompt, answer in answers.items() if prompt not in doubtful}

    def settled(self) -> Answers:
        """The refusals that are still held back when no call is under way and none will begin.

        Raises:
          InputError: with the first one's reason, where it is every call's.
        """
        held, self._held = self._held, {}
        reasons = [failure for failure in held.values() if isinstance(failure, Failure)]
        away = [failure for failure in reasons if failure.scope == "away"]
        if away or len(reasons) >= FIRST_CALLS or (reasons and not self._before):
            raise InputError((away or reasons)[0].reason)
        return held
