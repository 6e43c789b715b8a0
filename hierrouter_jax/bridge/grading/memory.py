"""How much memory a process and its descendants may hold, seen from outside."""

from contextlib import suppress

import psutil


def address_space(pid: int) -> int:
    """Bytes of address space of a process and all its descendants; 0 where it has ended.

    Address space, as what is resident says too little: memory that processes share, and hide, is in no count of it.
    """
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().vms
    return total
