"""What tests of verbs share: a small training, and the one line that a bad command prints."""

from hierrouter_jax.cli.main import main

SMALL = [
    *("--train.num_seeds", "2", "--train.features", "6"),
    *("--train.static.num_envs", "64", "--train.static.num_updates", "10"),
]


def refused(capsys, *arguments: str) -> str:
    """The one line that a bad command prints."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("hierrouter: error: ")
    return lines[0]
