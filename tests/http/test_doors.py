import asyncio
import json
import os
import re
import socket
import sys
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from secondunit.daemon.http.connection_limits import USUAL
from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.server import build_app
from secondunit.daemon.http.transport.connections import HttpRunner
from secondunit.daemon.http.transport.reaper import Reaper
from tests.http.keys import API_KEY, BEARER

IDLE = {"type": "idle", "payload": {}}


@pytest.mark.parametrize(
    "headers",
    [
        BEARER,
        {"Authorization": f"bearer  {API_KEY}"},
        {"X-API-Key": API_KEY},
        {"Authorization": "Basic eDp5", "X-API-Key": API_KEY},
    ],
)
async def test_a_valid_key_opens_every_call(build: Any, headers: dict[str, str]) -> None:
    harness = await build(api_key=API_KEY)
    await harness.call("POST", "/api/jobs", IDLE, status=201, headers=headers)
    await harness.call("GET", "/api/admin/stuck", headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {API_KEY}x"},
        {"Authorization": API_KEY},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic eDp5"},
        {"X-API-Key": ""},
        {"X-API-Key": API_KEY.lower()},
        {"X-API-Key": "schlüssel"},
    ],
)
async def test_without_a_valid_key_every_guarded_route_gives_the_same_401(build: Any, headers: dict[str, str]) -> None:
    harness = await build(api_key=API_KEY, rate_limit=None)
    expected = None
    for route in ROUTES:
        if route.scope is None:
            continue
        response = await harness.raw(route.method, re.sub(r"{\w+}", "x", route.path), headers=headers)
        assert response.status == 401, route.path
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        expected = expected or await response.read()
        assert await response.read() == expected


async def test_a_key_in_the_url_counts_on_event_streams_only(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    job_id = (await harness.call("POST", "/api/jobs", IDLE, status=201, headers=BEARER))["jobId"]
    await harness.call("GET", f"/api/jobs?token={API_KEY}", status=401)
    await harness.call("GET", f"/api/jobs/{job_id}?token={API_KEY}", status=401)
    await harness.call("GET", "/metrics?token=x", status=401)
    for path in ("/api/events", f"/api/jobs/{job_id}/stream"):
        assert (await harness.raw("HEAD", f"{path}?token={API_KEY}")).status == 200
        assert (await harness.raw("HEAD", f"{path}?token=wrong")).status == 401


async def test_health_and_the_documents_are_open(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    for path in ("/health", "/api/openapi.json", "/docs", "/docs/swagger-ui.css"):
        assert (await harness.raw("GET", path)).status == 200
        assert (await harness.raw("GET", path, headers={"X-API-Key": "wrong"})).status == 200


async def test_health_tells_its_figures_to_key_holders_only(build: Any) -> None:
    harness = await build(api_key=API_KEY)
    assert await harness.call("GET", "/health") == {"status": "ok"}
    assert await harness.call("GET", "/health", headers={"X-API-Key": "wrong"}) == {"status": "ok"}
    told = await harness.call("GET", "/health", headers=BEARER)
    figures = {"reasons": ["all is well"], "conditions": [], "notes": [], "queueDepth": 3}
    assert told == {"status": "ok", **figures}


async def test_the_control_socket_asks_for_nothing(build: Any) -> None:
    harness = await build(api_key=API_KEY, trusted=True, rate_limit="1/hour")
    for _ in range(3):
        await harness.call("GET", "/api/admin/stuck", headers={"Host": "anything", "X-Forwarded-For": "1.2.3.4"})
    assert "reasons" in await harness.call("GET", "/health")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("localhost.:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:8000", 421),
        ("evil.example:localhost", 421),
        ("[::2]:80", 421),
        ("localhost..", 421),
        ("localhost:x@evil.example", 421),
        ("localhost@evil.example", 421),
        ("evil.example@localhost", 421),
        ("localhost:80:80", 421),
        ("localhost:99999", 421),
        ("[::1]:99999", 421),
        ("[::1]evil.example", 421),
        ("[::1", 421),
        ("[::1%25lo]", 421),
        ("localhost:8٠", 421),
        ("localhost:+80", 421),
        ("localhost /", 421),
        ("localhost,evil.example", 421),
        ("localhost#", 421),
        ("", 421),
    ],
)
async def test_a_keyless_daemon_answers_to_its_own_names_only(harness: Any, host: str, status: int) -> None:
    response = await harness.raw("GET", "/api/jobs", headers={"Host": host})
    assert response.status == status
    assert (await harness.raw("GET", "/health", headers={"Host": host})).status == status


async def test_other_names_can_be_allowed_and_a_key_makes_all_names_good(build: Any) -> None:
    named = await build(allowed_hosts=frozenset({"Box.lan"}))
    assert (await named.raw("GET", "/health", headers={"Host": "box.lan:8000"})).status == 200
    assert (await named.raw("GET", "/health", headers={"Host": "localhost"})).status == 421
    keyed = await build(api_key=API_KEY)
    assert (await keyed.raw("GET", "/api/jobs", headers=BEARER | {"Host": "work.example.com"})).status == 200


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP"]
)
async def test_a_keyless_daemon_is_not_reached_through_a_proxy(build: Any, header: str) -> None:
    harness = await build()
    problem = await harness.call("GET", "/api/jobs", status=403, headers={header: "for=1.2.3.4"})
    assert "API_KEY" in problem["detail"]
    keyed = await build(api_key=API_KEY)
    await keyed.call("GET", "/api/jobs", headers=BEARER | {header: "for=1.2.3.4"})


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "https://{own}", "own://{own}"]
)
async def test_a_foreign_page_can_not_change_anything_on_a_keyless_daemon(build: Any, origin: str) -> None:
    harness = await build(cors_origins=("https://good.example",))
    origin = origin.format(own=f"{harness.client.host}:{harness.client.port}")
    job_id = await harness.submit()
    await harness.call("POST", "/api/types/idle/pause", status=403, headers={"Origin": origin})
    await harness.call("DELETE", f"/api/jobs/{job_id}", status=403, headers={"Origin": origin})
    await harness.call("GET", "/api/jobs", headers={"Origin": origin})
    own = f"http://{harness.client.host}:{harness.client.port}"
    for good in ("https://good.example", own):
        await harness.call("POST", "/api/types/idle/pause", headers={"Origin": good})


GET_JOBS = "GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SPEAKS = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
where = sys.argv[2]
line = socket.socket(socket.AF_UNIX if where[0] == "@" else socket.AF_INET)
line.connect("\\0" + where[1:] if where[0] == "@" else ("127.0.0.1", int(where)))
line.sendall(sys.argv[3].encode())
print(line.makefile("rb").read().decode())
"""


async def spoken(uid: int, where: str, request: str) -> str:
    """The answer to a program of its own, of this account."""
    command = [sys.executable, "-I", "-c", SPEAKS, str(uid), where, request]
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    answer, _ = await asyncio.wait_for(program.communicate(), 30)
    return answer.decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program of another account")
async def test_without_a_key_another_account_is_refused(harness: Any) -> None:
    port = str(harness.client.port)
    told = await spoken(12345, port, GET_JOBS)
    assert told.startswith("HTTP/1.1 401 ") and "secondunit keys add" in told and "of uid 12345" in told
    assert (await spoken(12345, port, GET_JOBS.replace("/api/jobs", "/health"))).startswith("HTTP/1.1 200 ")
    assert (await spoken(0, port, GET_JOBS)).startswith("HTTP/1.1 200 ")


async def test_without_a_key_a_peer_that_is_gone_changes_nothing(harness: Any) -> None:
    body = json.dumps(IDLE)
    head = (
        f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    with socket.socket() as line:
        line.setblocking(False)
        with suppress(BlockingIOError):
            line.connect(("127.0.0.1", harness.client.port))
        line.sendall(f"{head}\r\n\r\n{body}".encode())
    await harness.until(lambda: ("POST", "/api/jobs", 401) in harness.metrics.observed)
    assert (await harness.call("GET", "/api/jobs"))["total"] == 0


async def test_the_control_socket_is_not_for_everybody(build: Any) -> None:
    harness = await build(trusted=True)
    api = harness.api
    runner = HttpRunner(build_app(api), Reaper("control", USUAL, (), api.clock), api.clock)
    await runner.setup()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        await web.SockSite(runner, listener).start()
        told = await spoken(os.geteuid(), f"@{listener.getsockname()[1:].decode()}", GET_JOBS)
        await runner.cleanup()
    assert told.startswith("HTTP/1.1 403 ") and "programs that this daemon started" in told
