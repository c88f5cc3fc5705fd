"""One daemon for all clients, a proxy that loses answers and cuts streams, and a driver for each client."""

import asyncio
import http.client
import inspect
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import pytest

from secondunit.client.aio import AsyncClient
from secondunit.client.errors import ClientError, Refused
from secondunit.client.sync import Client
from tests.e2e.conftest import Daemon, served, starting

KEY = "open sesame"
PATIENCE, POLL = 20.0, 0.05


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a daemon; `faults` say what goes wrong with the next ones that begin so, each once."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = port
        self.faults: list[tuple[str, str]] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.answered: list[str] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self, asked: str, headers: dict[str, str]) -> str:
        """What goes wrong with this request."""
        with self._lock:
            self.seen.append((asked, headers))
            for fault in self.faults:
                if asked.startswith(fault[0]):
                    self.faults.remove(fault)
                    return fault[1]
        return ""

    def sent(self, asked: str) -> list[dict[str, str]]:
        """The headers of each request that begins so."""
        return [headers for line, headers in self.seen if line.startswith(asked)]


class Passing(BaseHTTPRequestHandler):
    """One request on its way."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self) -> None:
        self.close_connection = True
        headers = {name.title(): value for name, value in self.headers.items() if name.lower() != "connection"}
        fault = self.server.next_fault(f"{self.command} {self.path}", headers)
        body = self.rfile.read(int(headers.get("Content-Length", "0")))
        if headers.pop("Transfer-Encoding", None):
            body = b"".join(self._chunks())
        if fault == "busy":
            self._answer(503, b'{"type": "urn:x:busy", "title": "Busy", "detail": "later"}', {"Retry-After": "1"})
            return
        line = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        try:
            line.request(self.command, self.path, body, headers)
            response = line.getresponse()
            if fault == "lose":
                response.read()
            elif response.getheader("Content-Type", "").startswith("text/event-stream"):
                self._stream(response, cut=fault == "cut")
            else:
                self._answer(response.status, response.read(), dict(response.getheaders()))
                self.server.answered.append(self.path)
        except OSError:
            pass  # the daemon or the client went away
        finally:
            line.close()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name in ("Retry-After", "Content-Type", "Content-Encoding"):
            if name in headers:
                self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, response: http.client.HTTPResponse, *, cut: bool) -> None:
        """What comes, as it comes, or to the middle of its first message."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.server.answered.append("stream")
        while line := response.readline():
            if cut and line.startswith(b"data:"):
                self.wfile.write(line[: len(line) // 2])
                return
            self.wfile.write(line)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()


@dataclass
class Said:
    """What a client made of a verb: its value or its error, what it told on the way."""

    value: Any = None
    error: str = ""
    status: int = 0
    kind: str = ""
    faults: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    progress: list[Any] = field(default_factory=list)


class Driver(Protocol):
    """Has a client do a verb."""

    def __call__(self, url: str, verb: str, *args: Any, key: str = KEY, patience: float = PATIENCE) -> Said: ...


def synchronously(url: str, verb: str, *args: Any, key: str = KEY, patience: float = PATIENCE) -> Said:
    """By `Client`."""
    return _said(lambda said: _called(Client(url, key, patience=patience), verb, args, said))


def asynchronously(url: str, verb: str, *args: Any, key: str = KEY, patience: float = PATIENCE) -> Said:
    """By `AsyncClient`, in a loop of its own."""

    async def done(said: Said) -> Any:
        async with AsyncClient(url, key, patience=patience) as client:
            return await _called(client, verb, args, said)

    return _said(lambda said: asyncio.run(done(said)))


@dataclass
class InNode:
    """By the Node client, in a process that is started when it is needed first."""

    process: subprocess.Popen[str] | None = None

    def __call__(self, url: str, verb: str, *args: Any, key: str = KEY, patience: float = PATIENCE) -> Said:
        if self.process is None:
            argv = ["node", str(Path(__file__).with_name("verbs.mjs"))]
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        asks, tells = self.process.stdin, self.process.stdout
        assert asks and tells
        ask = {"url": url, "key": key, "patience": patience, "poll": POLL, "verb": verb, "args": args}
        asks.write(json.dumps(ask) + "\n")
        asks.flush()
        return Said(**json.loads(tells.readline()))

    def end(self) -> None:
        """Nothing of it stays."""
        if self.process is not None:
            self.process.communicate(timeout=30)


def _called(client: Any, verb: str, args: Any, said: Said) -> Any:
    if verb == "wait":
        return client.wait(args[0], poll=POLL, timeout=args[1] if args[1:] else 30, on_event=said.events.append)
    if verb == "analyze":
        return client.analyze(Path(args[0]), on_progress=lambda sent, size: said.progress.append([sent, size]))
    if verb == "list":
        return client.list(**args[0])
    if verb == "each":
        found = client.each(**args[0])
        return _walked(found) if inspect.isasyncgen(found) else [*found]
    if verb == "submit":
        return client.submit(args[0], idempotency_key=args[1] if args[1:] else None)
    if verb.startswith("leases_"):
        return _leased(getattr(client.leases, verb.removeprefix("leases_")), verb, args)
    return getattr(client, verb)(*args)


def _leased(call: Callable[..., Any], verb: str, args: Any) -> Any:
    """A call of a remote worker; what it leases as JSON has it."""
    if verb == "leases_take":
        taken = call(*args)
        return _awaited(taken) if inspect.isawaitable(taken) else [*map(asdict, taken)]
    if verb == "leases_renew":
        return call(args[0], **args[1])
    return call(*args[:-1], Path(args[-1])) if verb == "leases_artifact" else call(*args)


async def _walked(found: Any) -> Any:
    return [job async for job in found]


async def _awaited(taken: Any) -> Any:
    return [*map(asdict, await taken)]


def _said(done: Callable[[Said], Any]) -> Said:
    said = Said()
    try:
        said.value = done(said)
    except Refused as refused:
        said.error, said.status, said.kind = type(refused).__name__, refused.status, refused.kind
        said.faults = list(refused.errors)
    except ClientError as error:
        said.error = type(error).__name__
    return said


DRIVERS: dict[str, Driver] = {"sync": synchronously, "async": asynchronously}


@pytest.fixture(scope="package")
def in_node() -> Iterator[InNode]:
    """The Node client."""
    driver = InNode()
    yield driver
    driver.end()


@pytest.fixture(scope="package")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with a key, a job type that sleeps, and no way to analyse before it is let to."""
    with starting(tmp_path_factory.mktemp("clients")) as start:
        daemon = start(
            API_KEY=KEY,
            RATE_LIMIT="off",
            GEMINI_API_KEY="stand-in",
            GEMINI_BASE_URL="http://127.0.0.1:9",
            MAX_UPLOAD_MB="4",
        ).ready()
        assert daemon.call("POST", "/api/types/analyze/pause", X_API_Key=KEY).status == 200
        yield daemon


@pytest.fixture(scope="package")
def line(daemon: Daemon) -> Iterator[Proxy]:
    """A way to the daemon."""
    proxy = Proxy(daemon.port)
    with served(proxy):
        yield proxy


@pytest.fixture
def proxy(line: Proxy) -> Proxy:
    """A way to the daemon on which nothing has happened yet."""
    line.faults, line.seen, line.answered = [], [], []
    return line


@pytest.fixture(params=[*DRIVERS, "node"])
def by(request: pytest.FixtureRequest, in_node: InNode) -> Driver:
    """Each client in turn."""
    if request.param == "node" and shutil.which("node") is None:
        pytest.skip("THE NODE CLIENT IS NOT TESTED: no node on PATH; `make tests` has one")
    return DRIVERS.get(request.param, in_node)
