"""The files of `docs/deploy/` hang together: with each other, with the repository, and with what the server takes."""

import ast
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.cli.parser import parse
from hierrouter_jax.serve.settings import ServeConfig
from tests.docs.pages import ROOT

DEPLOY = ROOT / "docs" / "deploy"
INSTRUCTIONS = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"}
INSTRUCTIONS |= {"CMD"}


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def served(words: list[str]) -> ServeConfig:
    """The settings of a command `serve ...`, as the command line reads them."""
    assert words[0] == "serve"
    return parse(words[0], words[1:])[1]["config"]


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([sm]?)", text).groups()
    return int(number) * (60 if unit == "m" else 1)


def test_compose_starts_what_it_names(compose):
    services = compose["services"]
    for name, service in services.items():
        assert ("image" in service) != ("build" in service), name
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in services[other]
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"], volume
    build = services["router"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


def test_the_routers_container_serves_what_is_mounted(compose):
    router = compose["services"]["router"]
    config = served(router["command"])
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in router["volumes"]}
    assert mounts[str(config.policy)] == "./policy"
    assert mounts[config.pool] == "./pool.yaml"
    assert any(config.log.is_relative_to(place) for place, source in mounts.items() if not source.startswith("./"))
    assert config.key_env in router["environment"]
    assert ":?" in router["environment"][config.key_env]  # nobody starts it without a key
    assert seconds(router["stop_grace_period"]) > config.drain_seconds
    assert router["ports"] == [f"127.0.0.1:8000:{config.port}"]


def test_the_pool_asks_the_members_of_compose(compose):
    members = {name: service for name, service in compose["services"].items() if "image" in service}
    pool = load_pool(DEPLOY / "pool.yaml")
    assert {model.name for model in pool.models} == set(members) == set(compose["services"]["router"]["depends_on"])
    for model in pool.models:
        words = members[model.name]["command"]
        assert model.endpoint.base_url == f"http://{model.name}:8000/v1"
        assert model.endpoint.model == words[words.index("--model") + 1]
        assert words[words.index("--max-model-len") + 1] == str(model.positions)  # so prompts are trimmed, not refused
        assert all(isinstance(word, str) for word in words)
        assert words[words.index("--generation-config") + 1] == "vllm"
    shares = [float(member["command"][-1]) for member in members.values()]
    assert sum(shares) < 1


def test_compose_reads_it_where_there_is_one():
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    done = subprocess.run(
        [docker, "compose", "-f", DEPLOY / "compose.yaml", "config", "--quiet"],
        env={"HIERROUTER_KEY": "k", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def instructions() -> list[tuple[str, str]]:
    """The instructions of the container file with their arguments, lines that go on joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line]


def test_the_container_file_copies_what_there_is_and_does_not_run_as_root():
    found = instructions()
    assert found[0][0] == "FROM"
    assert {name for name, _ in found} <= INSTRUCTIONS
    copied = {source for name, words in found if name == "COPY" for source in words.split()[:-1]}
    assert copied == {source for source in copied if (ROOT / source).exists()}
    metadata = (ROOT / "pyproject.toml").read_text()
    assert {"pyproject.toml", "README.md", "LICENSE", "hierrouter_jax", "configs", "constraints.txt"} == copied
    assert 'readme = "README.md"' in metadata
    last = dict(found)
    assert last["USER"] != "root"
    assert last["ENTRYPOINT"] == '["hierrouter"]'
    check = ast.literal_eval(last["HEALTHCHECK"].partition("CMD ")[2])
    compile(check[2], "healthcheck", "exec")
    assert str(ServeConfig.port) in check[2]
    assert last["EXPOSE"] == str(ServeConfig.port)


def unit() -> dict[str, str]:
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "hierrouter.service").read_text())
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"\w+=", line))


def test_the_unit_serves_within_its_folders_and_its_time():
    settings = unit()
    program, *words = shlex.split(settings["ExecStart"])
    config = served(words)
    assert program.endswith("/bin/hierrouter")
    assert config.loopback
    assert str(config.log).startswith(f"/var/lib/{settings['StateDirectory']}/")
    assert str(config.server_logs) == f"/var/log/{settings['LogsDirectory']}"
    assert float(settings["TimeoutStopSec"]) > config.drain_seconds
    assert "-HUP" in settings["ExecReload"]


@pytest.mark.parametrize(("old", "new", "fine"), [("", "", True), ("RestartSec=2", "=2", False)], ids=["good", "bad"])
def test_systemd_takes_the_unit(tmp_path, old, new, fine):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "hierrouter.service").read_text().replace("/opt/hierrouter/bin/hierrouter", "/bin/true")
    (tmp_path / "some.service").write_text(text.replace(old, new) if old else text)
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / "some.service"], capture_output=True, text=True)
    assert (done.returncode == 0 and not done.stderr) == fine, done.stderr
