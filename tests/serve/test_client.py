"""`hierrouter route --url` asks a running server and tells what it would have told itself."""

import json
import socket
import threading

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.client import ask_server
from tests.bridge.endpoints import FakeServer, Reply


def test_the_transcripts_are_those_of_the_router(start, queries):
    served = start(key="k")
    mine = served.router.route_many(queries, progress=False)
    theirs, unit = ask_server(f"{served.url}/v1", queries, {}, "k")
    assert unit == served.router.bundle.money_unit
    for one, other in zip(theirs, mine, strict=True):
        assert (one.query_id, one.route, one.answer, one.stopped) == (
            other.query_id,
            other.route,
            other.answer,
            other.stopped,
        )
        assert (one.cost, one.tokens_in, one.tokens_out) == (other.cost, other.tokens_in, other.tokens_out)


def test_the_verb_needs_neither_policy_nor_pool(start, queries, capsys, monkeypatch):
    served = start(key="k")
    monkeypatch.setenv("ROUTER_KEY", "k")
    assert main(["route", queries[0].text, "--url", served.url, "--key_env", "ROUTER_KEY", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["answer"] == served.router.route(queries[0].text).answer
    assert main(["route", queries[0].text, "--url", served.url, "--key_env", "ROUTER_KEY", "--budget", "3"]) == 2
    assert "train with --train.static.budgeted true" in capsys.readouterr().err
    assert main(["route", "x", "--url", served.url]) == 2
    assert "the key is missing or wrong" in capsys.readouterr().err


def test_nobody_there_is_one_sentence():
    with pytest.raises(InputError, match="does not answer as a server of 'hierrouter serve' does"):
        ask_server("http://127.0.0.1:9", ["q"], {})
    with pytest.raises(InputError, match="must begin with http"):
        ask_server("localhost:8000", ["q"], {})


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (Reply({"data": []}), "does not answer as a server of 'hierrouter serve' does"),
        (Reply({"data": [{"id": "gpt"}]}), "does not answer as a server of 'hierrouter serve' does"),
        (Reply([]), "does not answer as a server of 'hierrouter serve' does"),
        (Reply(b"<html>", 502), "cannot be asked now: Bad Gateway"),
        (Reply({"data": [{"hierrouter": {"reads_task": False, "money_unit": "x"}}]}), "it tells of no routes"),
    ],
)
def test_another_server_is_one_sentence(server: FakeServer, page, words):
    """The last one looks like ours, but its answers are a plain endpoint's."""
    server.pages["/v1/models"] = page
    with pytest.raises(InputError, match=words):
        ask_server(server.url, ["q"], {})


def test_what_is_no_address_or_no_server_of_pages_is_one_sentence():
    with pytest.raises(InputError, match="nonnumeric port"):
        ask_server("http://localhost:80x", ["q"], {})
    with pytest.raises(InputError, match="is no address"):
        ask_server("http://[::1", ["q"], {})

    def greet():
        caller, _ = door.accept()
        with caller:
            caller.recv(10_000)
            caller.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(InputError, match="SSH-2"):
            ask_server(f"http://127.0.0.1:{door.getsockname()[1]}", ["q"], {})
