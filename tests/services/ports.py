"""Ports for servers that a test starts: free, and nobody else's until this process ends."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from pathlib import Path

__all__ = ["free_port"]

_GIVEN_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000  # below are Ceph's own
_reserved: list[socket.socket] = []
"""Each keeps a port for this process; the system takes them back when it ends, however it ends."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at, and that nobody takes before the test's server does.

    It is none that the system gives to outgoing connections and to those who ask for any port. A name with its number, in
    the abstract namespace of Unix sockets, keeps other test processes of this machine from it (Linux only).

    Raises:
        AssertionError: no port is free.
    """
    ports = _candidates()
    for port in random.SystemRandom().sample(ports, len(ports)):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0trapaudit-tests-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        _reserved.append(name)
        return port
    raise AssertionError("no port is free")


def _candidates() -> Sequence[int]:
    first, last = map(int, _GIVEN_OUT.read_text().split())
    return [*range(_LOWEST, first), *range(last + 1, 65_536)] or range(_LOWEST, 65_536)
