"""What comes over a connection and is no request, and heads that could be read in two ways."""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from secondunit.daemon.http.transport.bounded_log import LINES_AT_ONCE
from secondunit.daemon.http.transport.connections import MalformedRequests
from secondunit.daemon.http.transport.replies import takes_gzip
from secondunit.daemon.monitoring.http_requests import RequestMalformed
from secondunit.queue.instrumentation import Fact
from secondunit.testing.clock import ManualClock

SECRET = b"hunter2"
HOST = b"Host: localhost\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST
JSON = b"POST /api/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n\r\n"
MALFORMED = {
    "an odd version": b"GET /hunter2 HTTP/9.9\r\n" + HOST + b"\r\n",
    "another version": b"GET /hunter2 HTTP/2.0\r\n" + HOST + b"\r\n",
    "an old version": b"GET /hunter2 HTTP/0.9\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a NUL": GET + b"X: hunter2\0\r\n\r\n",
    "a control character": GET + b"X: \x1bhunter2\r\n\r\n",
    "a bare CR": GET + b"X: hunter2\rY: b\r\n\r\n",
    "bare LF": b"GET /hunter2 HTTP/1.1\nHost: localhost\n\n",
    "a folded header": GET + b"X: hunter2\r\n b\r\n\r\n",
    "a blank in a name": GET + b"hunter2 : a\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + SECRET * 30,
    "a high byte in the path": b"GET /hunter2\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "UTF-8 in the query": "GET /health?hunter2=é HTTP/1.1\r\n".encode() + HOST + b"\r\n",
    "a long path": b"GET /" + SECRET * 1300 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long header": GET + b"X: " + SECRET * 1300 + b"\r\n\r\n",
    "many headers": GET + b"".join(b"X-%d: hunter2\r\n" % n for n in range(200)) + b"\r\n",
    "no method": b" /hunter2 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an odd method": b"HUNTER2 / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT hunter2:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel to nowhere": b"CONNECT [hunter2 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an address of another kind": b"GET ftp://localhost/hunter2 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an address that is none": b"GET http://localhost:99999/hunter2 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": b"GET /hunter2 HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"Host: hunter2\r\n\r\n",
    "two content types": JSON + b"Content-Type: text/hunter2\r\nContent-Length: 2\r\n\r\n{}",
    "a chunk size that is none": CHUNKED + b"hunter2\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-5\r\nhunter2\r\n0\r\n\r\n",
    "an endless chunk size": CHUNKED + b"f" * 17 + b"\r\nhunter2\r\n0\r\n\r\n",
    "a chunk that goes on": CHUNKED + b"2\r\n{}hunter2\r\n0\r\n\r\n",
    "length and chunks": JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks that are packed": JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks twice": JSON + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a packing and no chunks": JSON + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "chunks in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"2\r\n{}\r\n0\r\n\r\n",
    "two lengths": JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a list of lengths": JSON + b"Content-Length: 2, 2\r\n\r\n{}",
    "a negative length": JSON + b"Content-Length: -1\r\n\r\n{}",
    "an endless length": JSON + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}",
}


async def exchanged(harness: Any, *pieces: bytes, close: bool = True) -> tuple[int, dict[str, str], bytes]:
    """The one answer to what is sent as it stands; the connection must be closed behind it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.client.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0.02)  # so that they come apart
        async with asyncio.timeout(20):
            head, _, content = (await (reader.read() if close else reader.readuntil(b"}"))).partition(b"\r\n\r\n")
    finally:
        writer.close()
    first, *lines = head.decode().split("\r\n")
    assert first.startswith(("HTTP/1.1 ", "HTTP/1.0 "))
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), content


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_no_request_is_one_counted_line_and_a_problem_without_an_echo(harness: Any, name: str) -> None:
    facts: list[Fact] = harness.metrics.facts
    with capture_logs() as logs:
        status, headers, content = await exchanged(harness, MALFORMED[name])
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert json.loads(content)["type"] == "urn:secondunit:problem:malformed"
    assert [type(fact) for fact in facts if isinstance(fact, RequestMalformed)] == [RequestMalformed]
    assert [line["event"] for line in logs] == ["http.malformed"] and "exc_info" not in logs[0]
    assert SECRET not in content.lower() and "hunter2" not in json.dumps(logs).lower()
    assert (await harness.client.get("/health")).status == 200


@pytest.mark.parametrize("rest", [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n", b"2\r\n{}zz"])
async def test_a_body_that_turns_out_malformed_while_it_is_read_is_answered_once(harness: Any, rest: bytes) -> None:
    with capture_logs() as logs:
        status, _, content = await exchanged(harness, CHUNKED, rest)
    assert status == 400 and content.count(b'"status"') == 1
    assert [line["event"] for line in logs] == ["http.malformed"]


async def test_a_flood_of_them_is_a_line_a_second_with_their_number() -> None:
    clock, facts = ManualClock(), list[Fact]()
    malformed = MalformedRequests(clock, facts.append)
    with capture_logs() as logs:
        for _ in range(1000):
            malformed.tell("head", "it is odd")
        await clock.advance(1)
        malformed.tell("head", "it is odd")
    assert len(facts) == 1001 and len(logs) == LINES_AT_ONCE + 1
    assert sum(line["number"] for line in logs) == 1001
    assert (
        logs[-1]["message"] == f"refused a request: it is odd, and {1000 - LINES_AT_ONCE} others since the line before"
    )


ONCE = (
    "Idempotency-Key", "Authorization", "X-API-Key", "Origin", "Last-Event-ID", "Range", "If-Range", "Sec-Fetch-Site",
)  # fmt: skip


@pytest.mark.parametrize("name", ONCE)
async def test_a_header_with_two_values_is_refused_by_its_name(harness: Any, name: str) -> None:
    twice = f"{name}: a\r\n{name.lower()}: b\r\nConnection: close\r\n\r\n".encode()
    status, _, content = await exchanged(harness, GET + twice)
    assert status == 400 and name in json.loads(content)["detail"]
    assert (await exchanged(harness, GET + twice.replace(b": b", b": a")))[0] == 200


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/health", "localhost", 421),
        ("http://localhost@evil.example/health", "localhost", 421),
        ("http://evil.example:80/health", "localhost", 421),
        ("HTTP://EVIL.EXAMPLE/health", "localhost", 421),
        ("http://localhost/health", "evil.example", 200),
        ("http://LOCALHOST:8000/health", "evil.example", 200),
        ("http://[::1]:8000/health", "evil.example", 200),
        ("http://127.0.0.1/health", "localhost", 200),
        ("http://localhost:x@evil.example/health", "localhost", 421),
        ("http://localhost:99999/health", "localhost", 400),
        ("http://evil.example@localhost/health", "localhost", 421),
        ("http://[::1]:80:80/health", "localhost", 400),
        ("http:///health", "localhost", 400),
        ("ws://localhost/health", "localhost", 400),
        ("//evil.example/health", "localhost", 404),
        ("*", "localhost", 400),
    ],
)
async def test_the_host_of_a_whole_address_is_the_host(harness: Any, target: str, host: str, status: int) -> None:
    head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert (await exchanged(harness, head.encode()))[0] == status


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True), ("GZIP", True), ("br, gzip;q=0.5", True), ("*", True), ("gzip;q=1.000", True),
        ("deflate,  gzip ; q=0.001", True), ("", False), ("br", False), ("gzip;q=0", False), ("gzip;q=0.000", False),
        ("*;q=0", False), ("gzip;q=0, *", False), ("*;q=0, gzip", True), ("gzip;q=1.2.3", False), ("gzip;q=", False),
        ("gzip;q=2", False), ("gzip;q=-1", False), ("gzip;q=nan", False), ("gzip;q=1e0", False), ("gzip;x=1", False),
        ("gzip;q=0.5;q=1", False), ("gzippy", False), ("gzip;q=" + "1" * 4000, False), (",;,;=,q=1", False),
    ],
)  # fmt: skip
def test_what_an_accept_encoding_says_of_gzip(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


ODD = (
    "", " ", ",", ";", "=", "q=1.2.3", "gzip;q=1.2.3", "*/*;q=x", "bytes=", "bytes=-", "bytes=9-1", "bytes=0-,-1",
    "items=0-1", "bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000, '"', 'W/"', '"a", W/"b', "*", "9" * 20, "-1",
    "g1--1", "g1-" + "9" * 30, "Sun, 99 Foo 99999 99:99:99 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "null", "http://",
    "://", "[::1", "http://[::1", "a" * 4000, "a,b;c=d", 'text/html; charset="', "application/json; charset=nonsense",
    "application/json; =;;=", "multipart/form-data", 'multipart/form-data; boundary="',
    "multipart/form-data; boundary=" + "x" * 99, "respond-async; wait=x", "a=b; c", "Bearer", "Bearer  ", "Basic :",
    "00-zz-zz-zz", "\x80\xff", "\u00e9",
)  # fmt: skip
PARSED = (
    "Accept", "Accept-Encoding", "Authorization", "Content-Encoding", "Content-Type", "Cookie", "Expect", "Forwarded",
    "Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "Last-Event-ID", "Origin",
    "Prefer", "Range", "Traceparent", "Upgrade", "X-API-Key", "X-Forwarded-For", "X-Forwarded-Host",
    "X-Forwarded-Proto",
)  # fmt: skip
CALLS = ("GET /api/openapi.json", "GET /docs/swagger-ui.css", "POST /api/jobs", "HEAD /api/events", "OPTIONS /api/jobs")


# With a key nearly all of it is refused alike: what decides about that stays in CI.
GUARDED = {"api_key": "k" * 32, "cors_origins": ("https://page.example",)}
OF_GUARDS = {"Authorization", "Content-Encoding", "Expect", "Forwarded", "Origin", "X-API-Key", "X-Forwarded-For"}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {}) for name in PARSED),
        *(pytest.param(name, GUARDED, marks=[] if name in OF_GUARDS else pytest.mark.long) for name in PARSED),
    ],
)
async def test_no_value_of_any_header_is_a_fault_of_ours(build: Any, name: str, settings: dict[str, Any]) -> None:
    harness = await build(**settings, rate_limit=None)
    with capture_logs() as logs:
        for value in ODD:
            for call in CALLS:
                head = f"{call} HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\nConnection: close\r\n"
                body = "Content-Length: 2\r\n\r\n{}" if call.startswith("POST") else "\r\n"
                status, _, _ = await exchanged(harness, (head + body).encode("latin-1"))
                assert status < 500, (call, value)
    assert [line for line in logs if "exc_info" in line or line["event"] == "http.failed"] == []
