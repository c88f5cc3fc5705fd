"""What answers in the daemon's place."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Answering = Callable[[bytes], None]


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """Something at the control socket that answers every request with these bytes."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SECONDUNIT_CONFIG", "/dev/null")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "control.sock"))
    listener.listen()

    def serve(answer: bytes) -> None:
        with listener.accept()[0] as line:
            line.recv(65536)
            line.sendall(answer)

    threads: list[threading.Thread] = []

    def start(answer: bytes) -> None:
        threads.append(threading.Thread(target=serve, args=(answer,)))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SECONDUNIT_CONFIG", "/dev/null")
    return tmp_path
