"""The system calls that a program in the sandbox has no use for: a filter for bubblewrap, where libseccomp is found."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache

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


CLONE_NEWUSER = 0x10000000
# Looking into other processes; memory that the limits do not count; the kernel's wide and rarely trodden doors.
forbidden_calls = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "perf_event_open"),
    *("memfd_create", "shmget", "shmat", "msgget", "semget", "memfd_secret"),
    *("bpf", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key"),
    *("request_key", "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "pivot_root", "chroot"),
    *("unshare", "setns", "open_by_handle_at", "name_to_handle_at", "personality"),
    *("kexec_load", "init_module", "finit_module", "delete_module", "acct", "swapon", "reboot", "quotactl"),
    *("fanotify_init", "vmsplice", "remap_file_pages", "modify_ldt", "landlock_create_ruleset"),
)


@lru_cache(maxsize=1)
def filter_program() -> bytes | None:
    """The filter, compiled; None without libseccomp or its binding."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError):  # the binding raises RuntimeError where the library is missing
        return None
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in forbidden_calls:
        rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
    new_user = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)
    rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "clone", new_user)
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags lie in memory; the C library falls back
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


@contextmanager
def filter_pipe() -> Iterator[int | None]:
    """A descriptor to read the filter from, once; None where there is none."""
    program = filter_program()
    if program is None:
        yield None
        return
    reading, writing = os.pipe()
    try:
        os.write(writing, program)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)
