"""Connections that are kept open are answered without waiting for an acknowledgement."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from app.sockets import answer_without_delay


@pytest.mark.skipif(sys.platform != "linux", reason="sockets are found in /proc")
def test_a_connection_to_a_listening_socket_inherits_no_delay() -> None:
    with socket.socket(socket.AF_INET) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert answer_without_delay() >= 1
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_where_there_is_no_such_folder_nothing_happens(tmp_path: Path) -> None:
    assert answer_without_delay(tmp_path / "none") == 0
