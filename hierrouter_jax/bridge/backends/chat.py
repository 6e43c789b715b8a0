"""A prompt in a model's own chat template, or as bare text."""

from typing import Any

from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.context import Prompt, Turn


def as_messages(prompt: Prompt, system: str = "") -> list[dict[str, str]]:
    """The turns of a chat as templates and endpoints take them: a text is one user turn; the system prompt is first."""
    turns = (Turn("user", prompt),) if isinstance(prompt, str) else prompt
    return [turn._asdict() for turn in ((Turn("system", system), *turns) if system else turns)]


class ChatTemplate:
    """Turns into the text that a model reads, ready for its answer.

    Args:
      name: of the model, for messages.
      tokenizer: holds the template.
      system: prompt; where the template refuses or drops a system role, it opens the first user turn.

    Raises:
      InputError: if the tokenizer has no chat template, or it does not render a question.
    """

    def __init__(self, name: str, tokenizer: Any, system: str = "") -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise InputError(f"model {name!r}: its tokenizer has no chat template; set chat: false")
        self.source = str(tokenizer.chat_template)
        self._name, self._tokenizer, self._system, self._opens = name, tokenizer, system, False
        if system:
            try:
                self._opens = system.strip() not in self("?")
            except InputError:
                self._opens = True
        self("?")

    def __call__(self, prompt: Prompt) -> str:
        """The text of a prompt: a text is one user turn."""
        messages = as_messages(prompt, "" if self._opens else self._system)
        if self._opens:
            messages[0]["content"] = f"{self._system}\n\n{messages[0]['content']}"
        try:
            return self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # a template is a program of the model's makers, and can fail in any way
            raise InputError(
                f"model {self._name!r}: its chat template refuses the turns ({reason_of(error)})"
            ) from error
