"""The reference of the command line, from the parsers that read it."""

import re
from argparse import SUPPRESS, Action
from collections.abc import Iterator

from jsonargparse import ArgumentParser

from hierrouter_jax.cli.parser import parser_of
from hierrouter_jax.cli.verbs import VERBS

NOT_SHOWN = ("help", "print_config")


def reference() -> str:
    """A section for each verb: what it does, an example, and its options by group."""
    parts: list[str] = []
    for name, verb in VERBS.items():
        parts += [f"## {name}", section(parser_of(name), verb.help, verb.example, whole=name == "train")]
    return "\n\n".join(parts)


def section(parser: ArgumentParser, summary: str | None, example: str | None, whole: bool) -> str:
    """What a verb does and its options; a learner's shapes and numbers, the same for all verbs, if `whole`."""
    parts = [paragraphs(parser.description or f"{summary}.")]
    if example:
        parts.append(f"```text\n$ hierrouter {example}\n```")
    prefixes = set()
    for title, actions in groups(parser):
        hidden = None if whole else learner_prefix(actions)
        if hidden:
            prefixes.add(hidden)
            continue
        if title:
            parts.append(f"**{title}**")
        parts.append("| option | meaning | default |\n| --- | --- | --- |\n" + "\n".join(map(row, actions)))
    if prefixes:
        names = " and ".join(f"`--{prefix}`" for prefix in sorted(prefixes))
        parts.append(f"Below {names} stand a learner's shapes and numbers, as in [train](#train).")
    return "\n\n".join(parts)


def groups(parser: ArgumentParser) -> Iterator[tuple[str, list[Action]]]:
    """The title of each group of options, empty for the first, with what it holds."""
    yield "", [action for action in shown(parser._actions) if action.container in own_groups(parser)]
    for group in parser._action_groups:
        actions = list(shown(group._group_actions))
        if group not in own_groups(parser) and actions:
            yield first_upper(" ".join((group.title or "").split())), actions


def learner_prefix(actions: list[Action]) -> str | None:
    """The dotted name down to `static` or `hyper`, where a group holds what lies below it."""
    found = re.match(r"((?:\w+\.)*(?:static|hyper))(?:\.|$)", actions[0].dest) if actions else None
    return found[1] if found else None


def own_groups(parser: ArgumentParser) -> list[object]:
    """The groups that argparse makes itself: positional arguments and options of no class."""
    return [parser, parser._positionals, parser._optionals]


def shown(actions: list[Action]) -> Iterator[Action]:
    for action in actions:
        name = action.dest.rpartition(".")[2]
        if name not in NOT_SHOWN and action.help != SUPPRESS and "Path to a configuration file" not in str(action.help):
            yield action


def row(action: Action) -> str:
    name = action.option_strings[0] if action.option_strings else action.dest.upper()
    cells = (f"`{name}`", cell(str(action.help or "")), default(action))
    return f"| {' | '.join(cells)} |"


def default(action: Action) -> str:
    if not action.option_strings or action.default in (None, SUPPRESS, ""):
        return "required" if action.required or not action.option_strings else ""
    value = action.default
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`".replace("|", "\\|")


def cell(text: str) -> str:
    """Help as one cell of a table: in one line, without what Markdown would read as a mark of its own."""
    line = " ".join(text.replace("%%", "%").split())
    return line.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[")


def paragraphs(text: str) -> str:
    return text.strip().replace("<", "&lt;").replace("*", "\\*")


def first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
