"""A program that serves as `endpoints.FakeServer` does, to be started by a pool's command, and that misbehaves if told.

Each start adds a line with its process numbers, its children's after its own, to the file `--pids`.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from endpoints import Asked, FakeServer, Reply, upper

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pids", type=Path, required=True)
    parser.add_argument("--children", action="store_true", help="one of its group, one of a session of its own")
    parser.add_argument("--stubborn", action="store_true", help="with a child that ignores requests to end")
    parser.add_argument("--loading", type=float, default=0.0, help="seconds until it listens")
    parser.add_argument("--dies_after", type=int, default=0, help="answers")
    parser.add_argument("--fails", default="", help="says this and ends")
    parser.add_argument("--seconds", type=float, default=0.0, help="that an answer takes")
    parser.add_argument("rest", nargs="*")
    given = parser.parse_args()
    if given.fails:
        sys.exit(given.fails)
    children = [subprocess.Popen(SLEEP), subprocess.Popen(SLEEP, start_new_session=True)] if given.children else []
    children += [subprocess.Popen(STUBBORN)] if given.stubborn else []
    with given.pids.open("a") as pids:
        pids.write(" ".join(map(str, [os.getpid(), *(child.pid for child in children)])) + "\n")
    time.sleep(given.loading)
    server = FakeServer(port=given.port)

    def answer(asked: Asked) -> Reply:
        if given.dies_after and len(server.asked) > given.dies_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return Reply(upper(asked).body, seconds=given.seconds)

    server.rule = answer
    print(f"listening at {given.port} for {' '.join(given.rest)}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
