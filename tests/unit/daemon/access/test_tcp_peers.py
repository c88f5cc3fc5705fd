"""Whose the other end of a TCP connection is: by the kernel's answer, and by its tables."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from uvloop.loop import PseudoSocket  # type: ignore[attr-defined]  # its stub leaves it out

from secondunit.daemon.access.tcp_peers import Ends, ask_kernel, ends_of, look_up, owner_of

ANOTHER = 12345
CONNECTS = """
import os, socket, sys
os.setuid(int(sys.argv[3]))
line = socket.socket()
line.connect((sys.argv[1], int(sys.argv[2])))
line.sendall(b"x")
sys.stdin.read()
"""
WAYS = [ask_kernel, look_up]
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program of another account")


@contextmanager
def connected(address: str, *, client: str | None = None) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The accepted end and the client's, over loopback; a client may name the address otherwise."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        with socket.create_connection((client or address, port)) as out, server.accept()[0] as accepted:
            yield accepted, out


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("address", "client"), [("127.0.0.1", None), ("::1", None), ("127.0.0.1", "::ffff:127.0.0.1")])
def test_a_peer_of_our_own_is_ours(way: Callable[[Ends], int | None], address: str, client: str | None) -> None:
    with connected(address, client=client) as (accepted, _):
        ends = ends_of(accepted)
        assert ends is not None and way(ends) == os.geteuid()


@pytest.mark.parametrize("way", WAYS)
def test_a_peer_that_is_gone_is_nobodys(way: Callable[[Ends], int | None]) -> None:
    with connected("127.0.0.1") as (accepted, out):
        ends = ends_of(accepted)
        out.close()
        assert ends is not None and way(ends) is None, "the kernel says uid 0 of it"


@pytest.mark.parametrize("way", WAYS)
def test_a_peer_elsewhere_is_nobodys(way: Callable[[Ends], int | None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert way(Ends("192.0.2.1", 4711, "127.0.0.1", port)) is None
        assert way(Ends("127.0.0.1", port, "127.0.0.1", 1)) is None, "one that listens is no peer"


@root
@pytest.mark.parametrize("way", WAYS)
def test_a_peer_of_another_account_is_that_accounts(way: Callable[[Ends], int | None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        address, port = server.getsockname()
        command = [sys.executable, "-I", "-c", CONNECTS, address, str(port), str(ANOTHER)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as client:
            with server.accept()[0] as accepted:
                assert accepted.recv(1) == b"x"
                ends = ends_of(accepted)
                assert ends is not None and way(ends) == ANOTHER
            assert client.stdin is not None
            client.stdin.close()


async def test_it_is_asked_of_the_kernel_and_else_of_its_tables() -> None:
    with connected("127.0.0.1") as (accepted, _):
        ends = ends_of(accepted)
        assert ends is not None and await owner_of(ends) == os.geteuid()


def test_a_connection_that_is_no_tcp_or_gone_has_no_ends() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert ends_of(one) is None
    with connected("127.0.0.1") as (accepted, _):
        accepted.close()
        assert ends_of(accepted) is None


def test_tables_that_are_not_there_tell_nothing(tmp_path: Path) -> None:
    assert look_up(Ends("127.0.0.1", 1, "127.0.0.1", 2), tmp_path) is None


def test_a_connection_that_the_event_loop_has_closed_is_gone() -> None:
    closed = PseudoSocket(socket.AF_INET, socket.SOCK_STREAM, 0, -1)  # what its transport gives until it is told
    assert ends_of(closed) is None
