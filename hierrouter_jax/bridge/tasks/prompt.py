"""How an item of a benchmark becomes the text, or the chat turns, that a model reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from hierrouter_jax.bridge.tasks.items import Item
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Turn


@dataclass(frozen=True)
class TaskPrompt:
    """A task's prompt, of Jinja2 templates over an item's fields.

    Attributes:
      question: template of a question.
      answer: template of the answer that a worked example shows, in the format that the grader reads.
      instruction: plain text in front of everything.
      answer_format: plain text after the question that is asked: what the grader wants to see.

    Raises:
      InputError: if a template is no template.
    """

    question: str
    answer: str
    instruction: str = ""
    answer_format: str = ""

    def __post_init__(self) -> None:
        for name in ("question", "answer"):
            try:
                _template(getattr(self, name))
            except TemplateError as error:
                raise InputError(f"{name} is not a template ({error})") from None

    def reference(self, item: Item) -> str:
        """The right response to an item, as a worked example shows it."""
        return self._render("answer", item)

    def turns(self, item: Item, shots: Sequence[Item] = ()) -> list[Turn]:
        """The prompt as chat turns, the asked question last.

        The instruction opens the first turn: many chat templates know no system role.
        """
        turns: list[Turn] = []
        for shot in shots:
            turns.append(Turn("user", self._render("question", shot)))
            turns.append(Turn("assistant", self._render("answer", shot)))
        question = _join(self._render("question", item), self.answer_format.strip())
        turns.append(Turn("user", question))
        turns[0] = turns[0]._replace(content=_join(self.instruction.strip(), turns[0].content))
        return turns

    def _render(self, name: str, item: Item) -> str:
        try:
            return _template(getattr(self, name)).render(item.fields).strip("\n")
        except UndefinedError as error:
            raise InputError(f"prompt.{name}: {error}; the fields are {', '.join(item.fields)}") from None
        except TemplateError as error:
            raise InputError(f"prompt.{name}: {error}") from None


# A task file may come from anywhere: its templates reach nothing but the item's fields.
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@lru_cache(maxsize=256)
def _template(source: str) -> Template:
    return _ENVIRONMENT.from_string(source)


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
