"""How a query and the responses so far become the prompt of the next hop."""

from collections.abc import Sequence
from dataclasses import dataclass

from hierrouter_jax.errors import InputError


@dataclass(frozen=True)
class HopPrompt:
    """The prompt's layout; by default the query and every response on a line of their own.

    Line breaks inside a query or a response are folded into spaces, so that a line is always one of them; text whose
    lines mean something, such as code, needs `fold: false`.

    Attributes:
      opening: text before everything else, as it is (an instruction, say).
      query: the query's line; `{query}` stands for its text.
      response: the line of each response; `{response}` stands for its text.
      closing: text after everything else, as it is (`Answer:`, say).
      fold: whether line breaks inside a query or a response become spaces.

    Raises:
      InputError: if a line lacks its placeholder.
    """

    opening: str = ""
    query: str = "{query}"
    response: str = "{response}"
    closing: str = ""
    fold: bool = True

    def __post_init__(self) -> None:
        for name in ("query", "response"):
            if f"{{{name}}}" not in getattr(self, name):
                raise InputError(f"{name} is {getattr(self, name)!r}, but must contain {{{name}}}")

    def __call__(self, query: str, responses: Sequence[str] = ()) -> str:
        """The prompt after these responses; every line ends with a line break."""
        lines = [self.query.replace("{query}", self._folded(query))]
        lines += [self.response.replace("{response}", self._folded(response)) for response in responses]
        return self.opening + "".join(line + "\n" for line in lines) + self.closing

    def _folded(self, text: str) -> str:
        return " ".join(text.splitlines()) if self.fold else text
