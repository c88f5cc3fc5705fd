"""Who may use the control socket: our own account, and no program that we started."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from secondunit.daemon.access.socket_peers import descends, is_anothers, peer_of, refusal_of

ANOTHER = 12345
CONNECTS = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
line = socket.socket(socket.AF_UNIX)
line.connect("\\0" + sys.argv[1])
line.sendall(b"x")
line.recv(1)
"""
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program of another account")


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket that everybody can open: it has a name and no file."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("")  # to one of the kernel's choice, unix(7)
        server.settimeout(30)
        server.listen()
        yield server


@contextmanager
def client_of(server: socket.socket, user: int) -> Iterator[socket.socket]:
    """The accepted end of a client, a program of its own."""
    command = [sys.executable, "-I", "-c", CONNECTS, server.getsockname()[1:].decode(), str(user)]
    with subprocess.Popen(command), server.accept()[0] as accepted:
        assert accepted.recv(1) == b"x"
        yield accepted


def test_the_daemon_itself_may_use_its_socket() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert refusal_of(peer_of(one)) is None


def test_a_program_that_we_started_may_not() -> None:
    with listening() as server, client_of(server, os.geteuid()) as accepted:
        assert refusal_of(peer_of(accepted)) == "it is not for programs that this daemon started"


@root
def test_a_program_of_another_account_may_not() -> None:
    with listening() as server, client_of(server, ANOTHER) as accepted:
        assert f"this is a program of uid {ANOTHER}" in str(refusal_of(peer_of(accepted)))


def proc(folder: Path, parents: dict[int, int]) -> Path:
    """A /proc of these processes and their parents."""
    for pid, parent in parents.items():
        (folder / str(pid)).mkdir()
        (folder / str(pid) / "stat").write_text(f"{pid} (a) name) ) S {parent} 1 1 0")
    return folder


def nobodys(_: int) -> bool:
    return False


def test_whoever_is_below_the_daemon_descends_from_it_however_far(tmp_path: Path) -> None:
    tree = proc(tmp_path, {1: 0, 50: 1, 60: 50, 70: 60, 80: 70, 90: 1, 99: 90})
    assert [pid for pid in (1, 50, 60, 70, 80, 90, 99) if descends(pid, 50, tree, nobodys)] == [60, 70, 80]
    assert [pid for pid in (50, 60, 99) if descends(pid, 1, tree, nobodys)] == [50, 60, 99], "of the first one all do"


def test_who_is_gone_can_not_be_told_from_one_that_does(tmp_path: Path) -> None:
    assert descends(7, 50, proc(tmp_path, {1: 0, 8: 7}), nobodys)
    assert descends(8, 50, tmp_path, nobodys)


def test_a_program_below_one_of_another_account_is_none_of_ours_also_where_that_is_hidden(tmp_path: Path) -> None:
    tree = proc(tmp_path, {1: 0, 50: 1, 60: 50, 8: 7, 9: 8})
    assert not descends(9, 50, tree, lambda pid: pid == 7)
    assert descends(60, 50, tree, lambda pid: pid == 7)


def test_a_parent_that_ends_meanwhile_is_asked_for_again(tmp_path: Path) -> None:
    tree = proc(tmp_path, {1: 0, 50: 1, 9: 8})

    def looked_for(pid: int) -> bool:
        (tree / "9" / "stat").write_text("9 (a) S 1 1 1 0")  # left to the first process
        return False

    assert not descends(9, 50, tree, looked_for)


@root
def test_who_is_of_another_account_is_seen_by_a_signal_that_is_none() -> None:
    assert not is_anothers(os.getpid())
    told = subprocess.run(
        [sys.executable, "-I", "-c", f"import os\nos.setuid({ANOTHER})\nos.kill({os.getpid()}, 0)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PermissionError" in told.stderr
    assert not is_anothers(2**22 - 1)
