"""A local S3 (moto's server) that many tests share, and what is to be seen in it without our own client."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from itertools import count
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

NUMBERS = count(1)


@dataclass(frozen=True)
class LocalS3:
    """Its address; it asks nobody for a signature."""

    url: str

    def environment(self) -> dict[str, str]:
        """What the daemon needs to find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests",
            "AWS_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """A new bucket's name."""
        name = f"films-{next(NUMBERS)}"
        self.ask("PUT", name)
        return name

    def put(self, path: str, content: bytes, **headers: str) -> None:
        """Write an object, `path` being bucket/key."""
        self.ask("PUT", path, content, **headers)

    def get(self, path: str) -> bytes | None:
        """An object's content, None if there is none."""
        answer = self.ask("GET", path)
        return bytes(answer.content) if answer.status == 200 else None

    def head(self, path: str) -> dict[str, str]:
        """An object's headers."""
        return self.ask("HEAD", path).headers

    def keys(self, bucket: str) -> list[str]:
        """All keys of a bucket."""
        return [found.text or "" for found in self._tree(f"{bucket}?list-type=2").iter() if found.tag.endswith("}Key")]

    def uploads(self, bucket: str) -> int:
        """How many uploads of many parts are neither finished nor aborted."""
        return sum(found.tag.endswith("}Upload") for found in self._tree(f"{bucket}?uploads").iter())

    def ask(self, method: str, path: str, content: bytes | None = None, **headers: str) -> "Answer":
        """One request; every status is an answer."""
        url = f"{self.url}/{quote(path, safe='/?=&-')}"
        request = urllib.request.Request(url, content, method=method)  # noqa: S310  our own server's address
        known = {"Content-Type": "application/octet-stream", "Authorization": "AWS a-key:unchecked"}
        for name, value in {**known, **headers}.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310  our own server's address
                return Answer(response.status, _lower(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _lower(error.headers), error.read())

    def _tree(self, path: str) -> Any:
        return ET.fromstring(self.ask("GET", path).content)  # noqa: S314  our own server's answer


@dataclass(frozen=True)
class Answer:
    """What it said."""

    status: int
    headers: dict[str, str]
    content: bytes


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextmanager
def local_s3() -> Iterator[LocalS3]:
    """A server of its own thread on a free port of loopback."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield LocalS3(f"http://{host}:{port}")
    finally:
        server.stop()
