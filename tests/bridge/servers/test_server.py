"""A server that a pool starts by its command: waited for, shared, started again, and never left behind."""

import sys
import time

import openai._base_client
import pytest

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig, load_pool
from hierrouter_jax.bridge.servers import Servers
from hierrouter_jax.bridge.servers.server import answers
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.store import load_table
from tests.bridge.endpoints import FakeServer, Reply
from tests.bridge.servers.processes import PROMPTS, alive, collect_command, ever, gone, member, pool_file, starts


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.05)
    monkeypatch.setattr(openai._base_client, "MAX_RETRY_DELAY", 0.5)


def test_a_server_is_started_at_the_first_call_and_ended_with_its_children(tmp_path):
    with Servers(tmp_path / "servers") as servers:
        (backend,) = load_backends(PoolConfig((member(tmp_path, "--children", "--loading", "0.3"),)), servers)
        assert starts(tmp_path) == []
        assert [answer.text for answer in backend.generate(PROMPTS)] == [prompt.upper() for prompt in PROMPTS]
        (pids,) = starts(tmp_path)
        assert len(pids) == 3
        assert alive(pids) == pids
    assert alive(pids) == []
    assert "listening at" in (tmp_path / "servers/model.log").read_text()


def test_members_of_one_command_share_one_server_and_no_other(tmp_path):
    members = (
        member(tmp_path, name="brief"),
        member(tmp_path, name="long"),
        member(tmp_path, "--seconds", "0.01", name="other"),
    )
    with Servers(tmp_path / "servers") as servers:
        backends = load_backends(PoolConfig(members), servers)
        for backend in backends:
            backend.generate(["a"])
        assert len(starts(tmp_path)) == 2
    assert sorted(path.name for path in (tmp_path / "servers").iterdir()) == ["brief.log", "other.log"]


def test_placeholders_stand_for_the_port_and_where_the_source_lies(tmp_path, monkeypatch):
    source = tmp_path / "home" / "model"
    source.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = member(tmp_path, "-m={source}", source="~/model", base_url="http://localhost:{port}/v1")
    with Servers(tmp_path / "servers") as servers:
        endpoint, server = servers.serve(config)
        port = int(endpoint.base_url.removeprefix("http://localhost:").removesuffix("/v1"))
        assert server.address == endpoint.base_url
        assert server._command[-1] == f"-m={source}"
        assert server._command[3] == str(port)
        assert Endpoint(model="{source}", weights="w", command=("x", "{port}")).at(7, "/there").model == "/there"


@pytest.mark.parametrize("program", ["./serve.sh", "~/serve.sh"])
def test_a_program_may_lie_in_this_folder_or_at_home(tmp_path, monkeypatch, program):
    (tmp_path / "serve.sh").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    endpoint = Endpoint(model="m", weights="w", command=(program, "{port}"))
    config = ModelConfig("model", max_new_tokens=9, kind="openai", endpoint=endpoint, base_rate=1.0)
    with Servers(tmp_path / "servers") as servers:
        _, server = servers.serve(config)
    assert server._command[0] in ("./serve.sh", str(tmp_path / "serve.sh"))


def test_an_identity_holds_no_port(tmp_path):
    identities = set()
    for _ in range(2):
        with Servers(tmp_path) as servers:
            identities.add(load_backends(PoolConfig((member(tmp_path),)), servers)[0].identity)
    (identity,) = identities
    assert identity.startswith("openai/fake/")


def test_calls_that_a_dying_server_held_are_made_again_after_its_restart(tmp_path):
    """It is killed at its fourth call of each start: three answers a start for eight prompts, so three starts."""
    config = member(tmp_path, "--dies_after", "3", "--loading", "0.2", concurrency=1)
    with Servers(tmp_path) as servers:
        (backend,) = load_backends(PoolConfig((config,)), servers)
        assert [answer.text for answer in backend.generate(PROMPTS)] == [prompt.upper() for prompt in PROMPTS]
    assert len(starts(tmp_path)) == 3
    assert alive(ever(tmp_path)) == []


def test_a_server_is_not_started_again_for_ever(tmp_path):
    config = member(tmp_path, "--dies_after", "1", concurrency=1, restarts=2)
    with Servers(tmp_path) as servers:
        (backend,) = load_backends(PoolConfig((config,)), servers)
        assert [backend.generate([prompt])[0].text for prompt in PROMPTS[:3]] == ["PROMPT 0", "PROMPT 1", "PROMPT 2"]
        for prompt in PROMPTS[3:5]:
            with pytest.raises(
                InputError,
                match=r"^server 'model' was ended by SIGKILL, its 2 restarts included .* ends with: listening at",
            ):
                backend.generate([prompt])
    assert len(starts(tmp_path)) == 3


@pytest.mark.parametrize(
    ("arguments", "fields", "words"),
    [
        (["--fails", "no such model: x"], {}, r"ended with exit code 1 before it answered .*no such model: x\)"),
        (["--port"], {}, "ended with exit code 2 before it answered .*error: argument --port: expected one argument.*"),
        (["--loading", "60"], {"start_seconds": 0.5}, r"does not answer within 0.5 seconds of its start .*nothing\)"),
    ],
)
def test_a_server_that_does_not_come_up_is_one_sentence(tmp_path, arguments, fields, words):
    with Servers(tmp_path) as servers:
        (backend,) = load_backends(PoolConfig((member(tmp_path, *arguments, **fields),)), servers)
        with pytest.raises(InputError, match=f"^server 'model' {words}$"):
            backend.generate(PROMPTS)
        assert servers.serve(member(tmp_path, *arguments, **fields))[1].starts == 1
    assert gone(ever(tmp_path))


def test_a_program_that_is_not_here_is_refused_before_any_start(tmp_path):
    endpoint = Endpoint(model="m", weights="w", command=("no-such-program", "{port}"))
    config = ModelConfig("model", max_new_tokens=9, kind="openai", endpoint=endpoint, base_rate=1.0)
    with Servers(tmp_path) as servers, pytest.raises(InputError, match="'no-such-program' is no program on this"):
        load_backends(PoolConfig((config,)), servers)
    with pytest.raises(InputError, match=r"model 'model': its endpoint has a command, .* servers=Servers\(folder\)"):
        load_backends(PoolConfig((config,)))


@pytest.mark.parametrize(
    ("health", "models", "ready"),
    [
        (200, 404, True),  # a server with a page for its health
        (503, 200, False),  # it is loading
        (404, 200, True),  # a server without such a page
        (401, 401, True),  # one that asks everybody for a key
        (404, 404, False),  # something else
        (404, 503, False),
    ],
)
def test_a_server_is_ready_when_its_health_or_its_models_say_so(health, models, ready):
    fake = FakeServer()
    fake.pages = {"/health": Reply({}, health), "/v1/models": Reply({}, models)}
    try:
        assert answers(fake.url) is ready
    finally:
        fake.stop()
    assert not answers(fake.url)


def test_numbers_may_stand_in_a_command_as_they_are(tmp_path):
    path = tmp_path / "pool.yaml"
    path.write_text(
        "models: [{name: a, kind: openai, max_new_tokens: 8, base_rate: 1, endpoint: {model: m, weights: w, "
        f"command: [{sys.executable}, --port, '{{port}}', -c, 4096, --temp, 0.5]}}}}]"
    )
    with Servers(tmp_path) as servers:
        _, server = servers.serve(load_pool(path).models[0])
    assert server._command[-3:] == ["4096", "--temp", "0.5"]


def test_collect_starts_shares_and_ends_a_server_that_dies_in_between(tmp_path, capsys):
    pool_file(tmp_path, "--dies_after", "5", "--children", concurrency=2)
    assert main(collect_command(tmp_path)) == 0, capsys.readouterr().err
    died = starts(tmp_path)
    assert len(died) > 1
    assert alive(ever(tmp_path)) == []
    assert (tmp_path / "table/servers/brief.log").exists()
    assert main(collect_command(tmp_path)) == 0  # all calls are kept: no server is needed
    assert starts(tmp_path) == died
    pool_file(tmp_path, "--children")
    assert main(collect_command(tmp_path, "quiet")) == 0
    assert load_table(tmp_path / "quiet").fingerprint == load_table(tmp_path / "table").fingerprint


def test_collect_ends_its_server_when_it_gives_up(tmp_path, capsys):
    pool_file(tmp_path, "--dies_after", "2", "--children", restarts=1)
    assert main(collect_command(tmp_path)) in (2, 4)
    assert "server 'brief' was ended by SIGKILL, its 1 restarts included" in capsys.readouterr().err
    assert alive(ever(tmp_path)) == []


def test_servers_stop_together_when_an_exception_passes(tmp_path):
    """Two that need their grace of five seconds each are ended in less than both of them would take in a row."""
    members = (member(tmp_path, "--stubborn", name="a"), member(tmp_path, "--stubborn", "--seconds", "0", name="b"))
    began = []

    def fail() -> None:
        with Servers(tmp_path) as servers:
            for backend in load_backends(PoolConfig(members), servers):
                backend.generate(["a"])
            began.append(time.monotonic())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert 4 < time.monotonic() - began[0] < 9
    assert len(ever(tmp_path)) == 4
    assert alive(ever(tmp_path)) == []
