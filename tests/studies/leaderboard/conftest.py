"""The table on which it is known who is right, in a folder."""

from pathlib import Path

import pytest

from hierrouter_jax.outcomes.store import save_table
from tests.studies.leaderboard.known import known_table


@pytest.fixture(scope="package")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tables") / "known"
    save_table(known_table(), folder)
    return folder
