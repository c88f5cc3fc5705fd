"""Headers that browsers are told by: on every answer, whichever way it came."""

import asyncio
from typing import Any

import pytest

from secondunit.daemon.http.transport.connections import LATE, TURNED_AWAY
from secondunit.daemon.http.transport.replies import SAFE_HEADERS

BROKEN = b"NONSENSE\r\n\r\n"


def check(headers: Any) -> None:
    """What every answer must say, and what none may."""
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "default-src" in headers["Content-Security-Policy"] and "Server" not in headers


@pytest.mark.parametrize("origins", [(), ("https://page.example",)], ids=["short way", "long way"])
async def test_every_answer_has_them(build: Any, origins: tuple[str, ...]) -> None:
    harness = await build(cors_origins=origins)
    job_id = await harness.submit()
    idle = {"type": "idle", "payload": {}}
    asks: list[tuple[str, str, Any]] = [
        ("POST", "/api/jobs", idle), ("POST", "/api/jobs", {"type": "nothing"}), ("POST", "/api/jobs", [1]),
        ("POST", "/api/jobs/batch", {"jobs": [idle]}), ("GET", f"/api/jobs/{job_id}", None), ("GET", "/nowhere", None),
        ("PUT", "/health", None), ("GET", "/docs", None), ("GET", "/docs/swagger-ui.css", None),
        ("GET", "/health", None), ("GET", "/docs/start.js", None), ("GET", "/api/openapi.json", None),
        ("HEAD", "/api/events", None),
    ]  # fmt: skip
    for ask in asks:
        check((await harness.raw(*ask)).headers)
    check((await harness.raw("POST", "/api/jobs", idle, headers={"Connection": "close"})).headers)
    async with harness.listen("/api/events") as reader:
        check(reader.response.headers)


async def test_what_is_no_request_gets_them_too(harness: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.client.port)
    writer.write(BROKEN)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    check_raw(head)
    for whole in (TURNED_AWAY, LATE):
        check_raw(whole)


def check_raw(whole: bytes) -> None:
    lines = whole.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines)
    check(headers)
    assert SAFE_HEADERS.items() <= headers.items()


async def test_a_page_may_load_what_is_ours_and_nothing_else(harness: Any) -> None:
    policy = (await harness.raw("GET", "/docs")).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';") and "unsafe-inline" not in policy.replace(
        "style-src 'self' 'un", ""
    )
    assert {"object-src 'none'", "base-uri 'none'", "form-action 'none'"} <= set(policy.split("; "))
