"""Lines and branches of the core rooms that each room's own tests run.

    make coverage                                   # all rooms; code 1 where one has less than 95 % of its lines
    python -m scripts.coverage_rooms --rooms '[envs]'

Lines inside compiled functions count when JAX traces them. What only subprocesses run does not count.
"""

import json
import subprocess
import sys
from pathlib import Path

from jsonargparse import auto_cli

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "runs" / "coverage"
# Of each room: its test files, its modules, and what no installed library lets run.
ROOMS = {
    "envs": (["tests/envs"], "hierrouter_jax/envs/*", "hierrouter_jax/envs/gymnax_env.py"),
    "policies": (["tests/policies"], "hierrouter_jax/policies/*", ""),
    "evaluation": (["tests/evaluation"], "hierrouter_jax/evaluation/*", ""),
    "agents": (["tests/agents"], "hierrouter_jax/agents/*", ""),
    "outcomes": (["tests/outcomes"], "hierrouter_jax/outcomes/*", ""),
    "bundle": (sorted(map(str, ROOT.glob("tests/test_bundle*.py"))), "hierrouter_jax/bundle*.py", ""),
    "hop_tree": (["tests/test_hop_tree.py"], "hierrouter_jax/hop_tree.py", ""),
}


def measure(room: str) -> dict[str, float]:
    """Run a room's tests; shares of lines and branches, and the lines that nobody ran."""
    tests, modules, without = ROOMS[room]
    data, report = FOLDER / room, FOLDER / f"{room}.json"
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "run", f"--data-file={data}", "-m", "pytest", "-q", "-x", *tests], check=True, cwd=ROOT)
    chosen = [f"--data-file={data}", f"--include={modules}", *([f"--omit={without}"] if without else [])]
    subprocess.run([*coverage, "json", "-q", *chosen, "-o", str(report)], check=True, cwd=ROOT)
    written = json.loads(report.read_text("utf-8"))
    for name, file in written["files"].items():
        if file["missing_lines"]:
            print(f"  {name}: {file['missing_lines']}")
    totals = written["totals"]
    branches = totals["covered_branches"] / max(1, totals["num_branches"])
    return {"lines": totals["covered_lines"] / totals["num_statements"], "branches": branches}


def main(rooms: list[str] | None = None, least: float = 0.95) -> None:
    """Measure room by room.

    Args:
      rooms: names of the rooms; all by default.
      least: share of lines that each must have.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {room: measure(room) for room in rooms or ROOMS}
    for room, shares in found.items():
        print(f"{room:12} {shares['lines']:.1%} of lines, {shares['branches']:.1%} of branches")
    (FOLDER / "rooms.json").write_text(json.dumps(found, indent=2))
    sys.exit(any(shares["lines"] < least for shares in found.values()))


if __name__ == "__main__":
    auto_cli(main)
