"""A process that logs decisions from several threads, and says of each when it is kept, until somebody kills it."""

import sys
import threading
from pathlib import Path

from hierrouter_jax.outcomes.decision_log import LogOptions, LogWriter
from tests.outcomes.decision_log.served import decision


def log_on(folder: Path, life: str, threads: int) -> None:
    """Log episodes `<life>-<thread>-<number>` of two decisions until the end of the process."""
    # Parts are made all the time, so that kills also hit their making.
    writer = LogWriter(folder, LogOptions(rotate_bytes=100_000, fsync_seconds=0.01))

    def work(thread: int) -> None:
        number = 0
        while True:
            name = f"{life}-{thread}-{number}"
            assert writer.append(decision(name), decision(name, 1, end="horizon"))
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
            number += 1

    for thread in range(threads):
        threading.Thread(target=work, args=(thread,)).start()


if __name__ == "__main__":
    log_on(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
