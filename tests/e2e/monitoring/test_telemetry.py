"""Traces and errors of a live daemon, at receivers on loopback: what arrives, through a kill, and what never leaves."""

import base64
import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import brotli
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.conftest import CHECKOUT, Daemon, environment_of, installed_plugin, served, starting
from tests.ports import free_port

pytestmark = pytest.mark.e2e
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
PLUGIN = """
import asyncio
from pathlib import Path

from pydantic import BaseModel
from secondunit.handlers.tools.programs.ports import Limits, Profile
from secondunit.queue.handler import HandlerSpec


class Payload(BaseModel):
    mark: str
    breaks: str = ""


def build(tools):
    async def run(ctx, payload):
        async def program():
            argv = ["/bin/sh", "-c", "exit 3 # hunter2-argv"]
            done = await tools.programs.run(argv, cwd=ctx.workspace.run, limits=Limits(), profile=Profile("build"))
            return done.returncode

        async with ctx.phase("work", 1.0):
            await ctx.step("shell", program)
            mark = Path(payload.mark)
            if not mark.exists():
                mark.touch()
                await asyncio.sleep(600)
        if payload.breaks:
            local = "hunter2-local"
            raise ValueError(f"it broke at {payload.breaks} {local[:0]}")
        return {}

    return HandlerSpec(type="traced", payload=Payload, run=run, concurrency=5)
"""


class Receiver(ThreadingHTTPServer):
    """Takes OTLP traces, Sentry's envelopes and callbacks, and keeps them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []
        self.spans: list[Any] = []
        self.resources: list[Any] = []
        self.events: list[Any] = []
        self.callbacks: list[dict[str, str]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def until(self, ready: Callable[[], Any], daemon: Daemon) -> None:
        deadline = time.monotonic() + 60
        while not ready():
            assert time.monotonic() < deadline, (self.named(), self.events, daemon.log)
            time.sleep(0.05)

    def named(self) -> list[str]:
        with self.lock:
            return [span["name"] for span in self.spans]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match self.headers.get("Content-Encoding"):
            case "gzip":
                body = gzip.decompress(body)
            case "br":
                body = brotli.decompress(body)
        with self.server.lock:
            self.server.bodies.append(body)
            if self.path == "/v1/traces":
                self.take(MessageToDict(ExportTraceServiceRequest.FromString(body)))
            elif self.path == "/api/7/envelope/":
                self.server.events += [json.loads(line) for line in body.split(b"\n") if b'"exception"' in line]
            else:
                self.server.callbacks.append(dict(self.headers))
        self.send_response(200)
        self.end_headers()

    def take(self, request: Any) -> None:
        assert self.headers["X-Collector-Key"] == "hunter2-collector"
        for resource in request["resourceSpans"]:
            self.server.resources.append(resource["resource"])
            for scope in resource["scopeSpans"]:
                self.server.spans += scope["spans"]

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server, served(server):
        yield server


@contextmanager
def traced_daemon(folder: Path, **environ: str) -> Iterator[Callable[[], Daemon]]:
    plugin = installed_plugin(folder / "traced", "traced", PLUGIN)
    path = environment_of(folder / "data", plugin, folder / "plugins")["PYTHONPATH"]
    usual = {"ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8", "OTEL_BSP_SCHEDULE_DELAY": "100", "PYTHONPATH": path}
    with starting(folder) as start:
        yield lambda: start(**{**usual, **environ}).ready()


@pytest.mark.slow
def test_a_trace_and_its_errors_arrive_whole_through_a_kill_and_hold_no_secret(
    tmp_path: Path, receiver: Receiver
) -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "X-Collector-Key=hunter2-collector",
        "SENTRY_DSN": f"http://hunter2dsn@127.0.0.1:{receiver.server_address[1]}/7",
    }
    with traced_daemon(tmp_path, **settings) as start:
        daemon = start()
        payload = {"mark": str(tmp_path / "mark"), "breaks": "https://host.example/?key=hunter2-payload"}
        body = {"type": "traced", "payload": payload, "callback": receiver.url, "retryPolicy": {"maxRetries": 0}}
        job = daemon.call("POST", "/api/jobs", body, traceparent=TRACEPARENT).body["jobId"]
        receiver.until(lambda: {"step shell", "program sh"} <= set(receiver.named()), daemon)
        daemon.signal(signal.SIGKILL)
        daemon.ended()
        daemon = start()
        daemon.until(job, "failed")
        receiver.until(lambda: receiver.callbacks and "deliver callback" in receiver.named(), daemon)
        receiver.until(lambda: receiver.events, daemon)
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0, daemon.log
    ours = [span for span in receiver.spans if traced(span["traceId"]) == TRACE]
    ids = {span["spanId"]: span["name"] for span in ours}
    tree = sorted((span["name"], ids.get(span["parentSpanId"], span["parentSpanId"])) for span in ours)
    # The step's own parent is the phase that the kill cut off: nobody saw its end.
    assert [child for child in tree if child[0] in ("submit traced", "run traced", "program sh")] == [
        ("program sh", "step shell"),
        ("run traced", "submit traced"),
        ("run traced", "submit traced"),
        ("submit traced", encoded(CALLER)),
    ]
    [callback] = receiver.callbacks
    [delivery] = [span for span in ours if span["name"] == "deliver callback"]
    assert callback["traceparent"] == f"00-{TRACE}-{traced(delivery['spanId'])}-01"
    [program] = [span for span in ours if span["name"] == "program sh"]
    assert {"key": "secondunit.program.exit_code", "value": {"intValue": "3"}} in program["attributes"]
    names = {"key": "service.name", "value": {"stringValue": "secondunit"}}
    assert all(names in resource["attributes"] for resource in receiver.resources)
    [event] = receiver.events
    assert event["tags"] == {"where": "run", "job_id": job, "type": "traced", "attempt": "1"}
    assert event["exception"]["values"][0]["type"] == "ValueError"
    assert not [body for body in receiver.bodies if b"hunter2" in body]


@pytest.mark.slow
def test_a_collector_that_is_down_costs_nothing_but_its_spans(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with traced_daemon(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=nowhere, SENTRY_DSN="http://key@127.0.0.1:9/7") as start:
        daemon = start()
        (tmp_path / "mark").touch()
        payload = {"mark": str(tmp_path / "mark"), "breaks": "x"}
        job = daemon.call("POST", "/api/jobs", {"type": "traced", "payload": payload, "retryPolicy": {"maxRetries": 0}})
        assert daemon.until(job.body["jobId"], "failed")["error"]["type"] == "unexpected"
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0, daemon.log


def test_a_dsn_that_is_none_is_told_at_the_start_without_being_shown(tmp_path: Path) -> None:
    with starting(tmp_path) as start:
        daemon = start(SENTRY_DSN="http://127.0.0.1/hunter2")
        assert daemon.ended() == 78
        assert "SENTRY_DSN" in daemon.log and "hunter2" not in daemon.log


def test_without_a_setting_for_them_neither_library_is_imported() -> None:
    code = "import sys, secondunit.daemon.main; print([m for m in sys.modules if m.startswith(('opentel', 'sentry'))])"
    command = [sys.executable, "-P", "-c", code]
    environment = environment_of(Path("none"))
    done = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def traced(encoded: str) -> str:
    """An id as `traceparent` writes it, from how protobuf's JSON does."""
    return base64.b64decode(encoded).hex()


def encoded(id: str) -> str:
    return base64.b64encode(bytes.fromhex(id)).decode()
