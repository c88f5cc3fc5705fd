"""A client that asks for /health again and again while something else goes on, and knows how long it waited."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 30.0
EVERY = 0.02


class HealthClient:
    """The waits for the answers so far, in seconds; one that did not come counts as the longest."""

    def __init__(self, port: int) -> None:
        self.waits: list[float] = []
        self._port = port
        self._over = threading.Event()

    @property
    def p99(self) -> float:
        """What one wait in a hundred was longer than."""
        return sorted(self.waits)[max(0, len(self.waits) * 99 // 100 - 1)]

    def run(self) -> None:
        """Ask until it is over."""
        while not self._over.wait(EVERY):
            began = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LONGEST)
            try:
                connection.request("GET", "/health")
                connection.getresponse().read()
                self.waits.append(time.monotonic() - began)
            except OSError:
                self.waits.append(LONGEST)
            finally:
                connection.close()

    def end(self) -> None:
        """Ask no more."""
        self._over.set()


@contextmanager
def watching(port: int) -> Iterator[HealthClient]:
    """Such a client at work for as long as this is open."""
    client = HealthClient(port)
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        yield client
    finally:
        client.end()
        thread.join()
    assert len(client.waits) > 3
