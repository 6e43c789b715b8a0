"""How a query and the responses so far become the prompt of the next hop."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.table import Prompt, Turn

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_KNOWN = {"query": ("query",), "response": ("response", "model", "number")}


@dataclass(frozen=True)
class OwnPrompt:
    """What one member's prompts say in place of the pool's layout.

    Attributes:
      opening: text before everything else; None keeps the pool's.
      revision: text behind the responses, shown only where there are any; None keeps the pool's.
      closing: text after everything else; None keeps the pool's.
      fresh: name of the member that this one is the control of. It is the same model, but reads the query alone and no
        response, so that what a hop gains can be split into another try and reading the draft.
    """

    opening: str | None = None
    revision: str | None = None
    closing: str | None = None
    fresh: str | None = None


@dataclass(frozen=True)
class HopPrompt:
    """The prompt's layout; by default the query and every response on a line of their own.

    Line breaks inside a query or a response are folded into spaces, so that a line is always one of them; text whose
    lines mean something, such as code, needs `fold: false`.

    Attributes:
      opening: text before everything else, as it is (an instruction, say).
      query: the query's line; `{query}` stands for its text.
      response: the line of each response; `{response}` stands for its text, `{model}` for who gave it and `{number}`
        for its place on the route, from 1.
      revision: text behind the responses, as it is, shown only where there are any: what to do with them.
      closing: text after everything else, as it is, on every hop (`Answer:`, say).
      fold: whether line breaks inside a query or a response become spaces.
      responses: `all` of them, only the `last`, or `none`.
      members: texts of single members that replace the pool's, by the member's name.

    Raises:
      InputError: if a line lacks its placeholder, or holds an unknown one.
    """

    opening: str = ""
    query: str = "{query}"
    response: str = "{response}"
    revision: str = ""
    closing: str = ""
    fold: bool = True
    responses: Literal["all", "last", "none"] = "all"
    members: dict[str, OwnPrompt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in _KNOWN.items():
            used = _PLACEHOLDER.findall(getattr(self, name))
            if name not in used:
                raise InputError(f"{name} is {getattr(self, name)!r}, but must contain {{{name}}}")
            for other in used:
                if other not in known:
                    raise InputError(f"{name} holds the unknown placeholder {{{other}}}; {nearest(other, known)}")

    def of(self, member: str) -> "HopPrompt":
        """The layout of one member's prompts."""
        own = self.members.get(member)
        if own is None:
            return self
        stated = {name: text for name, text in vars(own).items() if text is not None and name != "fresh"}
        return replace(self, members={}, responses="none" if own.fresh else self.responses, **stated)

    def shown(self, responses: int) -> range:
        """Places of the responses that the prompt shows, of so many."""
        return range({"all": 0, "last": max(responses - 1, 0), "none": responses}[self.responses], responses)

    def __call__(
        self, query: str, responses: Sequence[str | None] = (), models: Sequence[str] = (), shots: Sequence[Turn] = ()
    ) -> Prompt:
        """The prompt after these responses; every line ends with a line break.

        Args:
          query: text of the query.
          responses: responses so far; None is one that was trimmed away with its line.
          models: names of the models that gave them; needed where the layout names them.
          shots: turns of worked examples.
        Returns:
          A text; behind worked examples, the turns of a chat whose last one it is.
        Raises:
          InputError: if the layout says who gave a response, and that is not told.
        """
        text = self.text(query, responses, models)
        return (*shots, Turn("user", text)) if shots else text

    def text(self, query: str, responses: Sequence[str | None] = (), models: Sequence[str] = ()) -> str:
        """The prompt without worked examples."""
        if len(models) != len(responses) and "{model}" in self.response:
            raise InputError(
                f"the prompt's response line names {{model}}, but {len(models)} models are told for "
                f"{len(responses)} responses"
            )
        lines = [_filled(self.query, query=self._folded(query))]
        for place in self.shown(len(responses)):
            response = responses[place]
            if response is not None:
                values = {"response": self._folded(response), "number": str(place + 1)}
                lines.append(_filled(self.response, **values, model=models[place] if models else ""))
        revision = self.revision if len(lines) > 1 else ""
        return self.opening + "".join(line + "\n" for line in lines) + revision + self.closing

    def _folded(self, text: str) -> str:
        return " ".join(text.splitlines()) if self.fold else text


def _filled(line: str, **values: str) -> str:
    """A line with its placeholders filled in one pass, so that braces in what fills them mean nothing."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], line)


def as_text(prompt: Prompt) -> str:
    """A prompt as one text: the turns of a chat, an empty line between them."""
    return prompt if isinstance(prompt, str) else "\n\n".join(turn.content for turn in prompt)


def as_messages(prompt: Prompt, system: str = "") -> list[dict[str, str]]:
    """The turns of a chat as templates and endpoints take them: a text is one user turn; the system prompt is first.

    Where the chat begins with a system turn of its own, that one goes on behind the system prompt.
    """
    turns = (Turn("user", prompt),) if isinstance(prompt, str) else prompt
    if system and turns and turns[0].role == "system":
        system, turns = f"{system}\n\n{turns[0].content}", turns[1:]
    return [turn._asdict() for turn in ((Turn("system", system), *turns) if system else turns)]


def cut(text: str, stop: Sequence[str]) -> str:
    """The text up to the first stop string in it."""
    ends = [at for string in stop if (at := text.find(string)) >= 0]
    return text[: min(ends)] if ends else text


def digest_of_call(seed: int, prompt: Prompt) -> bytes:
    """What a call's draws follow from: different prompts do not share them."""
    return hashlib.sha256(f"{seed}:{json.dumps(prompt)}".encode()).digest()
