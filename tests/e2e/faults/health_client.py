"""A client that asks for /health, or else, again and again while something goes on, and knows how long it waited.

It also knows how much of that it was kept waiting by the machine: for how long its own thread, and that of the daemon
which fared worst, could have run but had no CPU (run-queue delay: the second figure of /proc/PID/task/TID/schedstat).
"""

import http.client
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path

LONGEST = 30.0
Ask = tuple[str, str, str | None, Mapping[str, str]]
HEALTH: Ask = ("GET", "/health", None, {})
EVERY = 0.02
CROWDED = 0.05


class HealthClient:
    """The waits for the answers so far, in seconds; one that did not come counts as the longest.

    `lags` are what of each the machine took, as far as it tells; nothing where no process id is known.
    """

    def __init__(self, port: int, pid: int | None, asks: Sequence[Ask]) -> None:
        self.waits: list[float] = []
        self.lags: list[float] = []
        self._port = port
        self._pid = pid
        self._asks = asks
        self._over = threading.Event()

    @property
    def p99(self) -> float:
        """What one wait in a hundred was longer than."""
        return _p99(self.waits)

    @property
    def fair_p99(self) -> float:
        """The same of the waits without what the machine took."""
        return _p99([wait - min(lag, wait) for wait, lag in zip(self.waits, self.lags, strict=True)])

    @property
    def crowded(self) -> bool:
        """Whether the machine took more than a twentieth of the time; while nothing goes on, that is for others."""
        return sum(self.lags) > CROWDED * (sum(self.waits) + EVERY * len(self.waits))

    def run(self) -> None:
        """Ask until it is over."""
        for ask in cycle(self._asks):
            if self._over.wait(EVERY):
                return
            before, began = self._delays(), time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LONGEST)
            try:
                connection.request(*ask)
                answer = connection.getresponse()
                answer.read()
                self.waits.append(time.monotonic() - began if answer.status < 300 else LONGEST)
            except OSError:
                self.waits.append(LONGEST)
            finally:
                connection.close()
            now = self._delays()
            own, *others = [now[thread] - delay for thread, delay in before.items() if thread in now] or [0.0]
            self.lags.append(own + max(others, default=0.0))

    @property
    def asked_often(self) -> bool:
        """Whether what it saw says anything."""
        return len(self.waits) > 3

    def end(self) -> None:
        """Ask no more."""
        self._over.set()

    def _delays(self) -> dict[Path, float]:
        """How long each thread in question has waited for a CPU so far, in seconds; the client's own is the first."""
        threads = [Path("/proc/thread-self"), *Path(f"/proc/{self._pid}/task").glob("*")]
        delays = {}
        for thread in threads if self._pid else ():
            with suppress(OSError):  # it ended; or this kernel does not tell
                delays[thread] = int((thread / "schedstat").read_text().split()[1]) / 1e9
        return delays


def _p99(waits: list[float]) -> float:
    return sorted(waits)[max(0, len(waits) * 99 // 100 - 1)]


@contextmanager
def watching(port: int, pid: int | None = None, asks: Sequence[Ask] = (HEALTH,)) -> Iterator[HealthClient]:
    """Such a client at work for as long as this is open."""
    client = HealthClient(port, pid, asks)
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        yield client
    finally:
        client.end()
        thread.join()
    assert client.asked_often
