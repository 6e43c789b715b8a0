"""Bundles on a hub of this machine: pushed by one process, pulled by another, refused in one sentence."""

import subprocess
import sys

import pytest

from hierrouter_jax.bridge.hub import policy_folder, push_policy
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.sums import SUMS
from tests.bridge.hub import Hub, serve
from tests.bundles import BUNDLES

PUSH = """
import sys
from pathlib import Path
from hierrouter_jax.bridge.hub import push_policy
print(push_policy(Path(sys.argv[1]), sys.argv[2]))
"""
PULL = """
import sys
from hierrouter_jax.bridge.hub import policy_folder
from hierrouter_jax.bundle import PolicyBundle
for source in sys.argv[1:]:
    try:
        print(PolicyBundle.load(policy_folder(source)).fingerprint)
    except ValueError as error:
        print(error)
"""


@pytest.fixture
def hub():
    hub = Hub({"models/mine/model": {"config.json": b"{}"}})
    server = serve(hub)
    yield hub
    server.shutdown()


def run(code, *arguments, environment):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    return done.stdout.strip() if not done.returncode else done.stderr.strip().splitlines()[-1]


def test_a_bundle_is_pushed_and_pulled(hub, tmp_path):
    bundle = BUNDLES["conditioned"]
    bundle.save(tmp_path / "policy")
    writer = hub.environment(tmp_path / "writer") | {"HF_TOKEN": hub.token}
    pushed = run(PUSH, str(tmp_path / "policy"), "mine/router", environment=writer)
    assert pushed == f"hf://mine/router@{hub.commit('models/mine/router')}"
    files = hub.repositories["models/mine/router"]
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "policy").iterdir()}
    assert set(files) == {SUMS, "README.md", "policy.json", "policy.safetensors"}
    assert hub.private == ["models/mine/router"]
    reader = hub.environment(tmp_path / "reader")
    sources = (pushed, "hf://mine/router", "hf:/mine/router")
    assert run(PULL, *sources, environment=reader).splitlines() == [bundle.fingerprint] * 3
    away = reader | {"HF_HUB_OFFLINE": "1"}
    assert run(PULL, "hf://mine/router", environment=away) == bundle.fingerprint
    assert PolicyBundle.load(policy_folder(tmp_path / "policy")).fingerprint == bundle.fingerprint


def test_what_the_hub_does_not_have_is_refused_in_one_sentence(hub, tmp_path):
    reader = hub.environment(tmp_path / "reader")
    sources = ("hf://mine/nothing", "hf://mine/model@v2", "hf://mine/model")
    assert run(PULL, *sources, environment=reader).splitlines() == [
        "hf://mine/nothing: the hub knows no such repository, or it is private (hf auth login)",
        "hf://mine/model: the hub knows no revision 'v2' of it",
        "hf://mine/model: holds no policy.json, so that it is no policy bundle",
    ]
    nobody = reader | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert "hf://mine/other: the hub is out of reach" in run(PULL, "hf://mine/other", environment=nobody)
    BUNDLES["plain"].save(tmp_path / "policy")
    refusal = run(PUSH, str(tmp_path / "policy"), "mine/router", environment=reader)
    assert "InputError: hf://mine/router: " in refusal
    assert "models/mine/router" not in hub.repositories


def test_names_of_no_repository_are_refused_before_anybody_is_asked(tmp_path):
    for source in ("hf://mine", "hf://a/b/c", "hf://a/b@"):
        with pytest.raises(InputError, match="must be hf://OWNER/NAME"):
            policy_folder(source)
    with pytest.raises(InputError, match="the repository is 'router', but must be OWNER/NAME"):
        push_policy(tmp_path, "router")
