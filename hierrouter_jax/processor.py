"""What XLA is told about the processor, before JAX is imported; and how large libraries are imported quickly."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WIDE_VECTORS = "--xla_cpu_prefer_vector_width=512"
_OPTION, _ = WIDE_VECTORS.split("=")
_CPU_INFO = Path("/proc/cpuinfo")


def use_wide_vectors() -> None:
    """Let XLA compute in vectors of 512 bits where the processor has them, unless `XLA_FLAGS` says how wide already.

    Its compiler prefers 256 bits, for processors that clock down under wider ones; what lies between the matrix
    products, which are wide anyway, then takes nearly twice as long.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _OPTION not in flags and _CPU_INFO.exists() and "avx512f" in _CPU_INFO.read_text():
        os.environ["XLA_FLAGS"] = f"{WIDE_VECTORS} {flags}".strip()


@contextmanager
def importing() -> Iterator[None]:
    """Do not look for garbage while libraries are imported and models loaded: a fifth of that time goes there."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what is there now stays to the end
        if was_on:
            gc.enable()
