"""Bodies that can't be taken as they are written: each gets its status and a reason, never a 500."""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not JSON at line 1"),
        (b"{", "not JSON at line 1 column 2"),
        (b"{'type': 1}", "not JSON"),
        (b'{"type": "a"} x', "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"type": "a", "type": "b"}', "'type' stands twice"),
        (b'{"payload": {"a": 1, "\\u0061": 2}}', "'a' stands twice"),
        (b'{"priority": NaN}', "NaN"),
        (b'{"priority": -Infinity}', "-Infinity"),
        (b'{"priority": 1e999}', "too large a number"),
        (b'{"priority": ' + b"1" * 5000 + b"}", "too many digits"),
        (b'{"payload": {"a": ["\\ud800"]}}', "payload.a.0 holds half a surrogate pair"),
        (b'{"payload": {"\\udfff": 1}}', "half a surrogate pair"),
        (b'{"type": "\xff"}', "not UTF-8"),
        (b'{"type": "\xed\xa0\x80"}', "not UTF-8"),
        (b'{"payload": ' + b"[" * 65 + b"]" * 65 + b"}", "nested deeper"),
        (b"[" * 200_000, "nested deeper"),
        (b'{"a":' * 150_000, "nested deeper"),
    ],
)
async def test_what_is_not_strict_json_is_refused_with_the_reason(harness: Any, raw: bytes, says: str) -> None:
    for path in ("/api/jobs", "/api/jobs/batch", "/api/jobs/cancel"):
        response = await harness.raw("POST", path, headers=JSON, data=raw)
        problem = await response.json()
        assert (response.status, response.content_type) == (400, "application/problem+json")
        assert says in problem["detail"]


@pytest.mark.parametrize("content", ['"\\ud83c\\udf72"', '"🍲"', '"\\u0000"', "[" * 60 + "]" * 60])
async def test_whole_unicode_and_reasonable_depth_are_taken(harness: Any, content: str) -> None:
    raw = f'{{"type": "clip", "payload": {{"inputPath": {content}}}}}'
    response = await harness.raw("POST", "/api/jobs", headers=JSON, data=raw.encode())
    assert response.status == (422 if content.startswith("[") else 201)


async def test_a_byte_order_mark_is_no_part_of_a_body(harness: Any) -> None:
    raw = b'\xef\xbb\xbf{"type": "clip", "payload": {"inputPath": "a"}}'
    assert (await harness.raw("POST", "/api/jobs", headers=JSON, data=raw)).status == 201
    packed = await harness.raw(
        "POST", "/api/jobs", headers=JSON | {"Content-Encoding": "gzip"}, data=gzip.compress(raw)
    )
    assert packed.status == 201


async def test_a_job_of_a_batch_is_no_larger_than_one_alone(harness: Any) -> None:
    small, large = ({"type": "clip", "payload": {"inputPath": "a" * size}} for size in (1, MIB))
    alone = await harness.raw("POST", "/api/jobs", headers=JSON, data=io.BytesIO(json.dumps(large).encode()))
    body = io.BytesIO(json.dumps({"jobs": [small, large]}).encode())
    batch = await harness.raw("POST", "/api/jobs/batch", headers=JSON, data=body)
    assert (alone.status, batch.status) == (413, 413)
    assert (await batch.json())["detail"].startswith("jobs.1 ")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_a_body_that_does_not_say_it_is_json_is_refused(harness: Any, kind: str) -> None:
    response = await harness.raw("POST", "/api/jobs", headers={"Content-Type": kind}, data=b"{}")
    assert response.status == 415


async def test_json_may_come_with_a_charset(harness: Any) -> None:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    response = await harness.raw("POST", "/api/jobs", headers=kind, data=b'{"type": "idle", "payload": {}}')
    assert response.status == 201


async def _chunks(count: int) -> Any:
    for _ in range(count):
        yield b" " * MIB


@pytest.mark.parametrize(("path", "limit"), [("/api/jobs", 1), ("/api/jobs/batch", 16)])
async def test_a_body_beyond_the_limit_is_refused_whether_its_length_is_told_or_not(
    harness: Any, path: str, limit: int
) -> None:
    for data in (io.BytesIO(b" " * (limit * MIB + 1)), _chunks(limit + 1)):
        response = await harness.raw("POST", path, headers=JSON, data=data)
        problem = await response.json()
        assert (response.status, problem["status"]) == (413, 413)
        assert str(limit * MIB) in problem["detail"]


async def test_a_caller_that_leaves_in_the_middle_of_its_body_is_no_fault_of_ours(harness: Any) -> None:
    head = (
        b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    )
    with capture_logs() as logs:
        _, writer = await asyncio.open_connection("127.0.0.1", harness.client.port)
        writer.write(head)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await harness.until(lambda: harness.metrics.observed)
    assert (harness.metrics.observed, logs) == ([("POST", "/api/jobs", 400)], [])


async def test_a_body_of_just_the_limit_is_read(harness: Any) -> None:
    response = await harness.raw("POST", "/api/jobs", headers=JSON, data=b"{}".ljust(MIB))
    assert response.status == 422


async def test_a_compressed_body_counts_unpacked(harness: Any) -> None:
    packed = gzip.compress(b"{}".ljust(2 * MIB))
    response = await harness.raw("POST", "/api/jobs", headers=JSON | {"Content-Encoding": "gzip"}, data=packed)
    assert response.status == 413


async def test_a_broken_compressed_body_is_refused(harness: Any) -> None:
    response = await harness.raw("POST", "/api/jobs", headers=JSON | {"Content-Encoding": "gzip"}, data=b"not gzip")
    assert response.status == 400


async def test_large_bodies_take_turns_and_small_ones_pass_them(harness: Any) -> None:
    batch = b'{"jobs": [{"type": "idle", "payload": {}}]' + b" " * 2 * MIB
    sent, rest = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield batch
        sent.set()
        await rest.wait()
        yield b"}"

    async def post(data: Any) -> int:
        return int((await harness.raw("POST", "/api/jobs/batch", headers=JSON, data=data)).status)

    first = asyncio.create_task(post(slowly()))
    await sent.wait()
    second = asyncio.create_task(post(io.BytesIO(batch + b"}")))
    for _ in range(20):
        await harness.submit()
    assert not second.done()
    rest.set()
    assert await first == await second == 201
