"""What fails on the caller's own side while a file is sent is told as what it is: sending it again is no help."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondunit.client import AsyncClient, Client


class OwnFault(OSError):
    """Of the caller, though of the kind that lost connections are."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where everything is read and nothing is answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def read() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    while connection.recv(65536):
                        pass

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    reader.join(10)


def fails(sent: int, size: int) -> None:
    raise OwnFault(f"at {sent} of {size}")


def test_a_blocking_client_tells_it(url: str, tmp_path: Path) -> None:
    (film := tmp_path / "film.mp4").write_bytes(bytes(1 << 20))
    with pytest.raises(OwnFault, match="of 1048576"):
        Client(url).analyze(film, on_progress=fails)


async def test_an_asynchronous_client_tells_it(url: str, tmp_path: Path) -> None:
    (film := tmp_path / "film.mp4").write_bytes(bytes(1 << 20))
    async with asyncio.timeout(30), AsyncClient(url) as client:
        with pytest.raises(OwnFault, match="of 1048576"):
            await client.analyze(film, on_progress=fails)
