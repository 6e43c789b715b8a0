"""Models read by their hub ids: the same as from their folder, and the commit that a branch names on record."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.pool import resolve_source
from hierrouter_jax.outcomes.table import Context
from tests.bridge.hub import Hub, serve

ELSEWHERE = """
import json, sys
from pathlib import Path
from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Context
encoder = build_encoder({"kind": "transformers", "source": "mine/reader", **json.loads(sys.argv[2])})
(model,) = load_backends(load_pool(Path(sys.argv[1])))
sentences = build_encoder({"kind": "sentence-transformers", "source": "mine/reader", **json.loads(sys.argv[2])})
refusals = []
for spec in ({"source": "mine/nothing"}, {"source": "mine/reader", "revision": "v0"}):
    try:
        build_encoder({"kind": "transformers", **spec})
    except InputError as error:
        refusals.append(str(error))
embedded = encoder.encode([Context("Spell 7.", ())])[0].tolist()
specs = [encoder.spec, sentences.spec]
print(json.dumps({"specs": specs, "identity": model.identity, "vector": embedded, "refusals": refusals}))
"""
POOL = "models: [{name: a, source: mine/reader, revision: main, max_new_tokens: 4, base_rate: 1}]\n"


@pytest.mark.extended
@pytest.mark.parametrize("asked", [{"revision": "main"}, {}], ids=str)
def test_an_encoder_and_a_pool_by_hub_id_record_the_commit(tmp_path, asked):
    folder = Path(resolve_source("package:reader"))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub = Hub({"models/mine/reader": files})
    server = serve(hub)
    (tmp_path / "pool.yaml").write_text(POOL)
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "pool.yaml"), json.dumps(asked)]
    try:
        done = subprocess.run(
            command, env=hub.environment(tmp_path), capture_output=True, text=True, timeout=120, check=False
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    found, commit = json.loads(done.stdout), hub.commit("models/mine/reader")
    assert [spec["revision"] for spec in found["specs"]] == [commit, commit]
    assert found["identity"].startswith(f"transformers/mine/reader@{commit}/")
    local = build_encoder({"kind": "transformers", "source": "package:reader"})
    assert "revision" not in local.spec
    assert found["vector"] == pytest.approx(local.encode([Context("Spell 7.", ())])[0].tolist(), abs=1e-6)
    assert found["refusals"] == [
        "encoder: mine/nothing cannot be loaded by transformers (the hub knows no such model, or it is private)",
        "encoder: mine/reader cannot be loaded by transformers (the hub knows no revision 'v0' of it)",
    ]
