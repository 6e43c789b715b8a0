"""The verb `serve` refuses in one sentence what it cannot serve."""

import socket
from contextlib import nullcontext

import pytest

from hierrouter_jax.cli.main import main


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--policy", "nowhere"], "nowhere: no such policy bundle"),
        (["--host", "0.0.0.0"], "name the variable that holds a key"),
        (["--explore", "softmax:0"], "explore is 'softmax:0'"),
        (["--log_text", "true"], "log_text needs log"),
        (["--key_env", "NO_SUCH_KEY"], "NO_SUCH_KEY holds no key"),
        (["--name", "auto"], "name is 'auto'"),
        (["--max_requests", "0"], "max_requests"),
    ],
)
def test_what_cannot_be_served(options, words, capsys):
    assert main(["serve", *options]) == 2
    assert words in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys, monkeypatch):
    from hierrouter_jax.serve import server

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(server.Router, "load", lambda *_: nullcontext())
        assert main(["serve", "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be listened at" in capsys.readouterr().err
