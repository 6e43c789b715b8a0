"""Objects of a program are through the sandbox's wire what they are without it; none passes for a plain value."""

import pytest

from hierrouter_jax.bridge.grading.sandbox.sandbox import Limits, Outcome, ProgramTests, find_sandbox
from hierrouter_jax.errors import InputError

try:
    find_sandbox()
    WITHOUT = ""
except InputError as error:
    WITHOUT = str(error)
needs_sandbox = pytest.mark.skipif(bool(WITHOUT), reason=WITHOUT)


def run(program: str, tests: ProgramTests) -> Outcome:
    return find_sandbox().run(program, tests, Limits(cpu_seconds=2))


COIN = """
class Coin:
    def __init__(self, worth): self.worth = worth
    def __bool__(self): return self.worth > 0
    def __eq__(self, other): return self.worth == other.worth
    def __hash__(self): return self.worth
    def __lt__(self, other): return self.worth < other.worth
    def __add__(self, other): return Coin(self.worth + other.worth)
    def __repr__(self): return f"Coin({self.worth})"
    def __str__(self): return f"{self.worth} c"
class Bag:
    def __init__(self, *coins): self.coins = coins
    def __len__(self): return len(self.coins)
    def __iter__(self): return iter(self.coins)
class Plain: pass
def coin(worth): return Coin(worth)
def same(thing): return thing
def bag(*worths): return Bag(*map(Coin, worths))
def plain(): return Plain()
def found(pattern, text):
    import re
    return re.search(pattern, text)
def steps():
    yield 1
def lazy(x): return map(str, x)
"""
TRUE_OF_OBJECTS = [
    "coin(1)",
    "not coin(0)",
    "coin(0) or True",
    "coin(3) == coin(3) and not coin(3) == coin(4)",
    "coin(3) != coin(4) and not coin(3) != coin(3)",
    "[coin(1), coin(2)] == [coin(1), coin(2)]",
    "{'a': coin(1)} == {'a': coin(1)}",
    "coin(2) in [coin(1), coin(2)] and coin(3) not in [coin(1), coin(2)]",
    "len({coin(1), coin(1), coin(2)}) == 2",
    "coin(1) < coin(2) and coin(2) > coin(1)",
    "sorted([coin(2), coin(1)]) == [coin(1), coin(2)] and max(coin(1), coin(5)).worth == 5",
    "coin(1) + coin(2) == Coin(3)",
    "str(coin(2)) == '2 c' and repr(coin(2)) == 'Coin(2)' and f'{coin(2)}' == '2 c'",
    "isinstance(coin(1), Coin) and not isinstance(plain(), Coin) and not isinstance(1, Coin)",
    "bag(1) and not bag()",
    "len(bag(1, 2)) == 2 and [c.worth for c in bag(1, 2)] == [1, 2]",
    "plain() and plain() != plain()",
    "all(same(p) == p and same(p) is p and same(p) in [p] for p in [plain()])",
    "found('b', 'abc') and not found('x', 'abc') and found('x', 'abc') is None",
    "found('b', 'abc') is not None and bool(found('b', 'abc')) is True and found('b', 'abc').group() == 'b'",
    "steps() and list(steps()) == [1] and lazy([1]) and list(lazy([1])) == ['1']",
    "found and found == found and found != lazy",
    "not any([coin(0), bag()]) and all([coin(1), bag(2), plain()])",
]


@needs_sandbox
@pytest.mark.parametrize("claim", TRUE_OF_OBJECTS)
def test_what_is_true_of_objects_is_true_through_the_wire(claim):
    """Each claim holds in one interpreter; so it does, and its contrary does not, where program and tests are apart."""
    here: dict = {}
    exec(COIN, here)
    assert eval(claim, here)
    assert run(COIN, ProgramTests("", (), (("it", f"assert {claim}"),))) == Outcome(True, "right")
    assert run(COIN, ProgramTests("", (), (("it", f"assert not ({claim})"),))) == Outcome(False, "wrong: it")


@needs_sandbox
@pytest.mark.parametrize(
    "claim",
    [
        "f() == 3",
        "3 == f()",
        "f() in [3]",
        "[f()] == [3]",
        "abs(f() - 3) < 1",
        "f() < 4",
        "{f(): 1} == {3: 1}",
        "f() >= 3",
    ],
)
def test_no_object_of_the_programs_passes_for_a_value_of_the_tests(claim):
    """An object whose every operator says yes equals nothing that the tests hold."""
    program = (
        "class Yes:\n    def __hash__(self): return hash(3)\n    def __sub__(self, other): return 0\n"
        + "".join(f"    def __{name}__(self, other): return True\n" for name in ("eq", "lt", "le", "gt", "ge"))
        + "def f(): return Yes()"
    )
    assert not run(program, ProgramTests("", (), (("it", f"assert {claim}"),))).passed
