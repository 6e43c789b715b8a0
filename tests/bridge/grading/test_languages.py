"""Every language has the words that it is searched by."""

from hierrouter_jax.bridge.grading.languages import LANGUAGES
from hierrouter_jax.bridge.grading.phrases import choices


def test_every_language_has_a_stem_that_it_is_searched_by():
    assert [language.name for language in LANGUAGES if not language.stems] == []
    assert not choices("Plants do not move.")
