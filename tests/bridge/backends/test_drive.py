"""Whose fault a refusal is, and what a gate may stop."""

import pytest

from hierrouter_jax.bridge.backends import Doubt, Generation, OpenGate, drive
from hierrouter_jax.bridge.backends.drive import FIRST_CALLS
from hierrouter_jax.errors import InputError
from tests.bridge.backends.asking import PROMPTS, answers, backend, quick
from tests.bridge.endpoints import Asked, Reply, completion, upper

__all__ = ["quick"]


REFUSALS = [Reply({"error": "no"}, status) for status in (400, 401, 402, 403, 404, 405, 406, 410, 418, 422, 451)]


@pytest.mark.parametrize("reply", REFUSALS)
@pytest.mark.parametrize(("at", "concurrency"), [(0, 1), (7, 4)])
def test_a_refusal_of_one_call_is_its_own(server, reply, at, concurrency):
    server.rule = lambda asked: reply if asked.prompt == PROMPTS[at] else upper(asked)
    made = answers(backend(server, {"concurrency": concurrency}))
    assert [isinstance(made[prompt], Generation) for prompt in PROMPTS] == [row != at for row in range(12)]


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_refusal_of_the_first_calls_is_every_calls(server, reply):
    server.rule = lambda asked: reply
    with pytest.raises(InputError, match=f"^{server.url} "):
        answers(backend(server, {"concurrency": 1}))
    assert len(server.asked) == FIRST_CALLS
    with pytest.raises(InputError):
        answers(backend(server), PROMPTS[:2])


def test_refusals_that_earlier_runs_know_are_the_calls_own(server):
    """Twelve calls that are always refused end no later run, and neither do a few new ones."""
    server.rule = lambda asked: Reply({"error": "no"}, 403)
    made = answers(backend(server), refused_before=frozenset(PROMPTS))
    assert len(made) == 12
    made = answers(backend(server), PROMPTS[:3], Doubt(answered_before=True))
    assert len(made) == 3
    with pytest.raises(InputError):
        answers(backend(server), PROMPTS, Doubt(answered_before=True))


def test_all_but_the_last_of_many_slots_may_be_refused(server):
    """Eleven refusals come before the one answer, which is under way with them: all are the calls' own."""

    def rule(asked: Asked) -> Reply:
        return (
            Reply({"error": "no"}, 403) if asked.prompt != "prompt 11" else Reply(completion(asked, "x"), seconds=0.3)
        )

    server.rule = rule
    made = answers(backend(server, {"concurrency": 12}), refused_before=frozenset())
    assert sum(isinstance(answer, Generation) for answer in made.values()) == 1


def test_what_the_gate_raises_comes_after_the_calls_under_way(server):
    """The fourth call may not begin: the three before it are answered all the same."""
    server.rule = lambda asked: Reply(completion(asked, "x"), seconds=0.05)
    streaming = backend(server, {"concurrency": 4})
    kept: list[str] = []

    class Gate(OpenGate):
        def begin(self, batch, under_way):
            if under_way == 3:
                raise InputError("no fourth call")
            return True

    def run() -> None:
        for part in drive(streaming, [PROMPTS], Doubt(), Gate()):
            kept.extend(part)

    with pytest.raises(InputError, match="no fourth call"):
        run()
    assert sorted(kept) == PROMPTS[:3]
