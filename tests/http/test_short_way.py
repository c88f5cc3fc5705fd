"""The short way of the hot calls: what a caller sees is what the long way shows."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from secondunit.daemon.http.transport import short_way
from secondunit.daemon.http.transport.bodies import json_bodies
from secondunit.daemon.http.transport.problems import NotJson

LONG = {"cors_origins": ("https://page.example",)}
IDLE = {"type": "idle", "payload": {}}
KEY = "k" * 32
NAMES = "Host: localhost\nContent-Type: application/json"


async def exchange(harness: Any, head: str, body: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of the last answer to a request as it stands, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.client.port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    if " 100 " in lines[0]:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    content = await reader.readexactly(int(headers["Content-Length"]))
    writer.close()
    await writer.wait_closed()
    return lines[0], headers, content


def alike(answer: tuple[str, Mapping[str, str], bytes]) -> tuple[str, dict[str, str], bytes]:
    """The answer without what differs from one moment, and one job, to the next."""
    status, headers, content = answer
    same = {name: value for name, value in headers.items() if name not in ("Date", "Location", "Vary")}
    return status, same, re.sub(rb"job_[a-z2-7]{26}", b"job", content)


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/batch"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("more", ["", "\nConnection: close", "\nConnection: keep-alive", "\nExpect: 100-continue"])
async def test_both_ways_give_the_same_answer(build: Any, path: str, version: str, more: str) -> None:
    body = json.dumps(IDLE if path == "/api/jobs" else {"jobs": [IDLE, IDLE]}).encode()
    head = f"POST {path} HTTP/{version}\n{NAMES}\nContent-Length: {len(body)}{more}"
    short, long = await exchange(await build(), head, body), await exchange(await build(**LONG), head, body)
    assert alike(short) == alike(long)
    assert short[0].endswith("201 Created")
    assert short[1].keys() | {"Vary"} == long[1].keys() | {"Vary"}


def test_the_short_way_was_tried_with_the_version_of_aiohttp_that_is_installed() -> None:
    told = "run this file with TRIED_WITH set to the new version, and look at `make bench ONLY=submit`"
    assert aiohttp.__version__ == short_way.TRIED_WITH, told


async def test_with_another_version_of_aiohttp_every_call_goes_the_long_way(harness: Any) -> None:
    runner = cast(web.AppRunner, harness.client.server.runner)
    server = runner.server
    assert server is not None
    ways: list[bool] = []

    async def seen(request: web.BaseRequest) -> web.StreamResponse:
        ways.append(False)
        return web.json_response({})

    for version in ("3.14", "3.14.50", "3.15.0", "4.0.0", short_way.TRIED_WITH):
        server.request_handler = seen
        short_way.express(runner, version)
        answer = await harness.raw("POST", "/api/jobs", IDLE, headers={"Connection": "close"})
        assert answer.status == (201 if version == short_way.TRIED_WITH else 200)
    assert len(ways) == 4, "all but the version that it was tried with"


@pytest.mark.parametrize("settings", [{"api_key": KEY}, {"api_key": KEY} | LONG])
async def test_both_ways_stand_behind_the_same_door(build: Any, settings: dict[str, Any]) -> None:
    harness = await build(**settings)
    for path, missing in (("/api/jobs", {"type", "payload"}), ("/api/jobs/batch", {"jobs"})):
        await harness.call("POST", path, IDLE, status=401)
        faults = await harness.refused("POST", path, {"odd": 1}, headers={"X-API-Key": KEY})
        assert faults.keys() == {"odd"} | missing and faults["odd"] == "unknown field"
    assert [seen[1:] for seen in harness.metrics.observed] == [
        ("/api/jobs", 401), ("/api/jobs", 422), ("/api/jobs/batch", 401), ("/api/jobs/batch", 422),
    ]  # fmt: skip


async def test_answers_follow_each_other_on_one_connection(harness: Any) -> None:
    body = json.dumps(IDLE).encode()
    head = f"POST /api/jobs HTTP/1.1\n{NAMES}\nContent-Length: {len(body)}\n\n".replace("\n", "\r\n")
    request = head.encode() + body
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.client.port)
    writer.write(request * 3)
    answers = [(await reader.readuntil(b"}")).partition(b"\r\n\r\n")[2] for _ in range(3)]
    assert len({json.loads(answer)["jobId"] for answer in answers}) == 3
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_comes_in_pieces_is_read_whole(harness: Any) -> None:
    body = json.dumps(IDLE).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.client.port)
    head = (
        f"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    for piece in (head.encode() + b"\r\n\r\n", body[:5], body[5:]):
        writer.write(piece)
        await writer.drain()
        for _ in range(20):
            await asyncio.sleep(0)
    assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    writer.close()
    await writer.wait_closed()


async def test_a_large_body_is_parsed_beside_the_loop(harness: Any) -> None:
    jobs = [{"type": "clip", "payload": {"inputPath": "/a" * 400}}] * 500
    assert len(json.dumps(jobs)) > json_bodies.PARSED_ON_LOOP
    answer = await harness.call("POST", "/api/jobs/batch", {"jobs": jobs}, status=201)
    assert len(answer["jobs"]) == 500
    problem = await harness.call("POST", "/api/jobs/batch", {"jobs": jobs, "more": "\ud800"}, status=400)
    assert problem["detail"] == "more holds half a surrogate pair"


@pytest.mark.parametrize(("depth", "taken"), [(64, True), (65, False)])
@pytest.mark.parametrize("closed", [("[", "]"), ('{"a":', "}")])
def test_depth_is_counted_exactly(depth: int, taken: bool, closed: tuple[str, str]) -> None:
    opening, closing = closed
    raw = (opening * depth + ("0" if opening != "[" else "") + closing * depth).encode()
    if taken:
        assert json_bodies.parse(raw)
    else:
        with pytest.raises(NotJson, match="deeper than 64"):
            json_bodies.parse(raw)


def test_brackets_in_text_are_no_depth() -> None:
    text = "[{" * 200
    assert json_bodies.parse(json.dumps({"a": [text]}).encode()) == {"a": [text]}
