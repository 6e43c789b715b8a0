"""Where a member's endpoint answers: each mistake is one sentence."""

from dataclasses import replace

import pytest

from hierrouter_jax.bridge.pool import Endpoint, load_pool
from hierrouter_jax.errors import InputError

URLS = [
    "http://localhost:port/v1",
    "http://127.0.0.1:99999/v1",
    "http://127.0.0.1:-1/v1",
    "http://127.0.0.1:0/v1",
    "http://localhost:8000/v1\n",
    "http://local host:8000/v1",
    " http://localhost:8000/v1",
    "http://[::1/v1",
    "http://:8000/v1",
    "http://localhost:8000/v1#part",
    "localhost:8000/v1",
    "ftp://localhost/v1",
    "http://local\x00host/v1",
]


@pytest.mark.parametrize("url", URLS)
def test_an_address_that_is_none_is_one_sentence(url):
    with pytest.raises(InputError, match=r"base_url is .*, but must be an address such as") as caught:
        Endpoint(url, "m")
    assert "\n" not in str(caught.value)


ENDPOINT = "model: m, weights: w"


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("model: m", "base_url is '', but must be an address"),
        (f"{ENDPOINT}, command: [serve, --port, 8000]", "command has no argument with {port}"),
        (f"{ENDPOINT}, command: ['{{port}}']", "command has no argument with {port}"),
        (f"{ENDPOINT}, command: ['', '{{port}}']", "command begins with an empty text"),
        (f"{ENDPOINT}, command: serve --port", "command is 'serve --port', but must be a list"),
        (f"{ENDPOINT}, command: [serve, {{port}}]", "command[1] is {'port': None}, but must be text"),
        ("model: m, command: [serve, '{port}']", "command needs weights"),
        (f"{ENDPOINT}, command: [serve, '{{port}}'], base_url: 'http://here:8000/v1'", "or write {port} in it"),
        (f"{ENDPOINT}, command: [serve, '{{port}}'], base_url: 'here:{{port}}'", "but must be an address such as http"),
        (f"{ENDPOINT}, command: [serve, '{{port}}'], start_seconds: 0", "start_seconds is 0.0"),
        (f"{ENDPOINT}, command: [serve, '{{port}}'], restarts: -1", "restarts is -1"),
        (f"{ENDPOINT}, command: [serve, '{{port}}', '{{source}}']", "has a {source}, so source must be stated"),
        (f"{ENDPOINT}, base_url: 'http://here/v1', restarts: 3", "start_seconds and restarts are of a server"),
    ],
)
def test_each_mistake_in_a_command_is_one_sentence(tmp_path, endpoint, words):
    path = tmp_path / "pool.yaml"
    text = f"models: [{{name: a, kind: openai, max_new_tokens: 8, base_rate: 1, endpoint: {{{endpoint}}}}}]"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_pool(path)
    assert words in str(caught.value)
    assert "pool.yaml: models[0]" in str(caught.value)


def test_the_address_of_a_started_server_holds_its_port():
    started = Endpoint(model="{source}", weights="w", command=("serve", "{port}"), start_seconds=9.0)
    assert started.address(81) == "http://127.0.0.1:81/v1"
    assert replace(started, base_url="http://localhost:{port}/api").address(81) == "http://localhost:81/api"
    assert Endpoint("http://there/v1", "m").address(81) == "http://there/v1"
    assert started.at(81, "/models/m") == Endpoint("http://127.0.0.1:81/v1", "/models/m", "w")
