"""Trying a request again: when, how often, and for how long a call waits."""

import asyncio
import math
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FIRST_WAIT = 0.5  # seconds
LONGEST_WAIT = 8.0  # seconds, of a wait that the endpoint did not ask for
LONGEST_ASKED = 120.0  # seconds, of one that it did


class Retries:
    """Of one call: the requests that were made again, and why no more are.

    Args:
      most: requests beyond the first.
      hurry: set when nothing is to be tried again.

    Attributes:
      made: how often the request was sent again.
      asked: seconds that the endpoint asked to wait, where that is too long; None as a rule.
      declined: whether the endpoint asked not to be tried again.
    """

    def __init__(self, most: int, hurry: asyncio.Event) -> None:
        self.made, self.asked, self.declined = 0, None, False
        self._most, self._hurry = most, hurry

    async def again(self, status: int | None, headers: Mapping[str, str]) -> bool:
        """Whether to send the request again, after the wait that belongs before it.

        Args:
          status: of the answer; None where there was none.
          headers: of the answer.
        """
        told = headers.get("x-should-retry", "")
        passing = status is None or status in (408, 409, 429) or status >= 500
        if told == "false":
            self.declined = passing
            return False
        if (not passing and told != "true") or self.made >= self._most or self._hurry.is_set():
            return False
        asked = retry_after(headers)
        if asked is not None and asked > LONGEST_ASKED:
            self.asked = asked
            return False
        wait = asked or min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self.made, 30)) * random.uniform(0.75, 1)
        try:
            await asyncio.wait_for(self._hurry.wait(), wait)
        except TimeoutError:
            self.made += 1
            return True
        return False

    def __str__(self) -> str:
        """What became of the retries, as the end of a sentence."""
        made = f", {self.made} retries included" if self.made else ""
        if self.asked is not None:
            asks = f"asks to wait {self.asked:.0f} s, more than the {LONGEST_ASKED:.0f} s that a call waits"
        elif self.declined:
            asks = "asks not to be tried again"
        else:
            asks = ""
        return made + (f", and {asks}" if asks else "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait, by `retry-after-ms` or `retry-after`; None where it does not say."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, OverflowError):
                continue
        if math.isnan(seconds):
            continue
        return max(seconds, 0.0)
    return None
