"""A process that gives up its rights: afterwards it computes, reads and writes what is open already, and does nothing else."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import sys
from pathlib import Path

__all__ = ["Unlockable", "lock"]

_NO_NEW_PRIVILEGES = 38
_ERRNO, _KILL, _ALLOW = 0x00050000, 0x80000000, 0x7FFF0000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
"""Instructions of a filter: load a word, jump where it is equal, jump where it is at least as large, return."""
_OTHER_ABI = 0x40000000
"""Numbers of system calls from here on are of x32."""

_NAMES = (
    "read", "write", "readv", "writev", "close", "fstat", "lseek", "mmap", "mprotect", "munmap", "mremap", "madvise", "brk",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "futex", "sched_yield", "sched_getaffinity", "getpid",
    "gettid", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "getrusage", "times", "getrandom",
    "exit", "exit_group", "restart_syscall", "sysinfo", "getcpu", "set_robust_list", "rseq", "membarrier",
)  # fmt: skip
"""System calls that stay: none opens, makes, names or sends anything."""
_X86_64 = dict(zip(_NAMES, (
    0, 1, 19, 20, 3, 5, 8, 9, 10, 11, 25, 28, 12,
    13, 14, 15, 131, 202, 24, 204, 39,
    186, 228, 229, 230, 35, 96, 98, 100, 318,
    60, 231, 219, 99, 309, 273, 334, 324,
), strict=True))  # fmt: skip
_AARCH64 = dict(zip(_NAMES, (
    63, 64, 65, 66, 57, 80, 62, 222, 226, 215, 216, 233, 214,
    134, 135, 139, 132, 98, 124, 123, 172,
    178, 113, 114, 115, 101, 169, 165, 153, 278,
    93, 94, 128, 179, 168, 99, 293, 283,
), strict=True))  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, 317, _X86_64), "aarch64": (0xC00000B7, 277, _AARCH64)}
"""Machine -> its number in filters, that of the call `seccomp`, and those of the calls that stay."""


class Unlockable(RuntimeError):
    """This system cannot take the rights of a process."""


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


class _Filter(ctypes.Structure):
    _fields_ = [("n", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction))]


def lock(seconds: int, memory_bytes: int) -> None:
    """Give up all rights of this process, for good: files, network, other processes, new threads.

    What is open stays open, so close or redirect first what must not be written to. A call that is not allowed fails with
    `PermissionError`; libraries that are needed afterwards must be loaded before.

    Args:
        seconds: of processor time that the process may take from now on.
        memory_bytes: that it may take from now on.

    Raises:
        Unlockable: the system has no way to do that, or a file or a connection can still be opened.
    """
    known = _MACHINES.get(platform.machine()) if sys.platform == "linux" and sys.maxsize > 2**32 else None
    if known is None:
        raise Unlockable(f"no filter of system calls is known for {sys.platform} on {platform.machine()}")
    import resource  # absent on Windows

    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(spent.ru_utime + spent.ru_stime) + seconds + 1
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for limit, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, held + memory_bytes),
    ):
        hard = resource.getrlimit(limit)[1]
        own = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (own, own))
    _filter_calls(*known)
    for what, tried in (("a file", lambda: os.open("/dev/null", os.O_RDONLY)), ("a connection", socket.socket)):
        try:
            tried()
        except PermissionError:
            continue
        raise Unlockable(f"{what} can be opened all the same")


def _filter_calls(machine: int, seccomp: int, allowed: dict[str, int]) -> None:
    numbers = sorted(allowed.values())
    lines = [
        (_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0), (_AT_LEAST, 0, 1, _OTHER_ABI), (_RETURN, 0, 0, _KILL),
        *((_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ERRNO | 1), (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    program = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    wanted = _Filter(len(lines), program)
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise Unlockable("new privileges cannot be refused")
    if library.syscall(seccomp, 1, 1, ctypes.byref(wanted)) != 0:  # set a filter, for all threads
        raise Unlockable(f"system calls cannot be filtered ({os.strerror(ctypes.get_errno())})")
