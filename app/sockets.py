"""Answers leave at once: no 40 ms of waiting for an acknowledgement on connections that are kept open."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path


def answer_without_delay(descriptors: Path = Path("/proc/self/fd")) -> int:
    """Turns Nagle's algorithm off on the sockets this process listens on; connections inherit it. Returns how many.

    Streamlit binds its socket without naming a protocol, and asyncio sets TCP_NODELAY only where one is named, so that
    headers and body, sent one after the other, met the other side's delayed acknowledgement. Linux; nothing elsewhere.
    """
    found = 0
    with contextlib.suppress(OSError):
        for number in [int(path.name) for path in descriptors.iterdir() if path.name.isdecimal()]:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as shared:
                tcp = shared.family in (socket.AF_INET, socket.AF_INET6) and shared.type == socket.SOCK_STREAM
                if tcp and shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    shared.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    found += 1
    return found
