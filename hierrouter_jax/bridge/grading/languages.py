"""The words by which responses announce an answer, refuse one, or go on to another question: one entry a language.

A word that another language uses for something else must not stand in an entry. Number words are read in English only
(`number_words`).
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from hierrouter_jax.config import from_dict


@dataclass(frozen=True)
class Language:
    """Phrases of one language, as alternatives of a regular expression without groups.

    Attributes:
      name: name of the language, in English.
      stems: texts of which each of its announcements contains one, in lower case; a text without is not searched.
      answers: nouns that announce an answer, with what may stand before them ("final answer", "Antwort").
      results: nouns that do so only with a verb, as they also head a working ("solution").
      verbs: words that join such a noun and the answer ("is", "lautet").
      options: nouns that announce an option of several, with their verb or a colon ("the right choice").
      chooses: words behind which an option is named ("I choose").
      insists: adjectives of an answer that overrides an earlier one ("final", "richtige").
      questions: words that start another question ("Question").
      affirms: words behind an option that is called right ("is correct").
      refuses: words that decline all options ("none of these").
      spaced: whether words are parted by spaces.
    """

    name: str
    stems: tuple[str, ...]
    answers: str
    results: str
    verbs: str
    options: str
    chooses: str
    insists: str
    questions: str
    affirms: str
    refuses: str
    spaced: bool = True


_FILE = Path(__file__).with_name("languages.yaml")
LANGUAGES = tuple(from_dict(Language, entry, _FILE.name) for entry in yaml.safe_load(_FILE.read_text("utf-8")))
