import os
import socket

from ops import ports


def test_a_port_somebody_listens_on_is_not_free_and_its_owner_is_named() -> None:
    with socket.socket() as server:
        server.bind((ports.HOST, 0))
        server.listen()
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        assert f"(pid {os.getpid()})" in (ports.owner(port) or "")
    assert ports.is_free(port)
    assert ports.owner(port) is None


def test_a_free_port_is_free() -> None:
    assert ports.is_free(ports.free_port())
