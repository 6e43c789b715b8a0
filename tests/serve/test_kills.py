"""A server that is killed under load leaves a decision log that can be read, with every answer that was given."""

import json
import os
import random
import subprocess
import sys
import threading
import time

import httpx
import pytest
import yaml

from hierrouter_jax.outcomes.decision_log import read_log
from tests.bridge.endpoints import FakeServer, either
from tests.serve.pools import endpoint_router

CLIENTS = 8
KILLS = int(os.environ.get("HIERROUTER_KILLS", "20"))


@pytest.mark.extended
def test_kills_under_load(make_bundle, tmp_path):
    members = [FakeServer(either(lambda asked, name=name: f"{name} says", 0.02)) for name in "ab"]
    endpoint_router(members, make_bundle).bundle.save(tmp_path / "policy")
    models = [
        {
            "name": f"m{place}",
            "kind": "openai",
            "chat": True,
            "base_rate": 1.0 + place,
            "max_new_tokens": 64,
            "endpoint": {"base_url": member.url, "model": "m"},
        }
        for place, member in enumerate(members)
    ]
    (tmp_path / "pool.yaml").write_text(yaml.safe_dump({"models": models}))
    answered, rng = [], random.Random(0)
    for _ in range(KILLS):
        answered += kill_once(tmp_path, rng.uniform(0.2, 1.8))
        log = read_log(tmp_path / "log")
        assert set(answered) <= set(log.rows["episode_id"].to_pylist())
        assert log.counts.broken <= CLIENTS * KILLS
    assert len(answered) > 20 * KILLS
    for member in members:
        member.stop()


def kill_once(folder, seconds):
    """Start a server, load it for so long, kill it; the episodes that it has answered."""
    command = [sys.executable, "-m", "hierrouter_jax.cli.main", "serve", "--policy", str(folder / "policy")]
    command += ["--pool", str(folder / "pool.yaml"), "--port", "0", "--log", str(folder / "log")]
    (folder / "stderr").write_bytes(b"")
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    deadline = time.monotonic() + 60
    while not (lines := [line for line in (folder / "stderr").read_text().splitlines() if '"serving"' in line]):
        assert process.poll() is None, (folder / "stderr").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    url, answered = json.loads(lines[0])["url"], []

    def ask(number):
        with httpx.Client(timeout=10, trust_env=False) as client:
            while True:
                turns = [{"role": "user", "content": f"question {number} {len(answered)}"}]
                try:
                    reply = client.post(f"{url}/chat/completions", json={"messages": turns})
                except httpx.HTTPError:
                    return
                answered.append(reply.json()["hierrouter"]["episode_id"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    process.kill()
    process.wait()
    for thread in threads:
        thread.join()
    return answered
