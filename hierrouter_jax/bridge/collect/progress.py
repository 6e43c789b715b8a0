"""The one bar of a collection: hops done and left, tokens a second, cost so far, failures, and why it waits."""

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from hierrouter_jax.bridge.collect.calls import Calls


class HopBar:
    """A bar over hops; those that cost no call, from the cache, do not count in its rate and time left.

    Args:
      hops: in all.
      calls: tell what they cost, and why none begins.
      shown: whether there is a bar at all.
    """

    def __init__(self, hops: int, calls: Calls, shown: bool) -> None:
        self._calls, self._waits_for = calls, ""
        self._bar = tqdm(total=hops, unit="hop", disable=not shown, smoothing=0, dynamic_ncols=True)

    def told(self, text: str) -> None:
        """What is being done."""
        self._bar.set_description(text)

    def done(self, hops: int, called: bool) -> None:
        """Hops that now have an outcome, by calls of this run or known before."""
        if self._bar.disable:
            return
        waits_for = self._calls.waits_for
        if not hops and waits_for == self._waits_for:
            return
        if not called:
            self._bar.initial += hops
        meter, self._waits_for = self._calls.meter, waits_for
        rate = f"{meter.tokens_out / meter.seconds:,.0f} tok/s, " if meter.seconds else ""
        earlier = f" + {meter.earlier:.4g} before" if meter.earlier else ""
        failed = f", {meter.failed} failed" if meter.failed else ""
        waits = f"; {waits_for}" if waits_for else ""
        self._bar.set_postfix_str(f"{rate}cost {meter.cost:.4g}{earlier}{failed}{waits}", refresh=not hops)
        self._bar.update(hops)

    def lost(self, hops: int) -> None:
        """Hops that cannot be made, as the one before failed."""
        if not self._bar.disable:
            self._bar.total -= hops


@contextmanager
def hop_bar(hops: int, calls: Calls, shown: bool) -> Iterator[HopBar]:
    bar = HopBar(hops, calls, shown)
    try:
        yield bar
    finally:
        bar._bar.close()
