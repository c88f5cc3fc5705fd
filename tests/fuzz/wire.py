"""Raw HTTP client: sends bytes as they are, and reads the one answer."""

import http.client
import select
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PATIENCE = 60.0  # a busy machine is no breach
GLANCE = 0.3  # for what may not be a whole request, and so may have no answer
LONGEST = 1 << 20


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Call:
    """A request that is whole: `headers` go out as they are."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        head = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        if self.body:
            head.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*head, "", ""]).encode("latin-1") + self.body


def exchange(port: int, sent: bytes, method: str, *, whole: bool = True) -> Answer | None:
    """The answer; None where there is none, which of a request that is not `whole` is no fault."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as line:
        try:
            line.sendall(sent)
            if not whole and not select.select([line], [], [], GLANCE)[0]:
                return None
            return _read(line, method)
        except (http.client.HTTPException, ConnectionError):
            return None
        except TimeoutError:
            raise AssertionError(f"the answer does not go on within {PATIENCE:g} s: {sent!r}") from None


def _read(line: socket.socket, method: str) -> Answer:
    response = http.client.HTTPResponse(line, method=method)
    try:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        stream = headers.get("content-type", "").startswith("text/event-stream")
        return Answer(response.status, headers, _block(response) if stream else response.read(LONGEST))
    finally:
        response.close()


def _block(response: http.client.HTTPResponse) -> bytes:
    """The first block of a stream, which may have no end."""
    read = b""
    while b"\n\n" not in read and (piece := response.read1(4096)):
        read += piece
    return read.partition(b"\n\n")[0]
