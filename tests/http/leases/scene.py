"""Two types whose jobs are leased, and what a worker asks: jobs, one of them, an end that is refused."""

from datetime import timedelta
from typing import Any

from secondunit.daemon.config.remote.payload_schemas import PayloadSchema
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.retry import RetryPolicy
from tests.http.harness import ApiHarness

SCHEMA = PayloadSchema(
    {
        "type": "object",
        "properties": {"page": {"type": "integer", "minimum": 1}, "pin": {"type": "string", "writeOnly": True}},
        "required": ["page"],
    }
)


async def _never_run(*_: Any) -> None:
    raise AssertionError("its jobs are leased")


def leased(type: str, **fields: Any) -> HandlerSpec:
    once = RetryPolicy(1, "fixed", timedelta(seconds=5))
    return HandlerSpec(
        type, SCHEMA.model(type), _never_run, **{"concurrency": 3, "retry": once, **fields}, remote=True,
        secrets=SCHEMA.secrets, artifacts=lambda _: {},
    )  # fmt: skip


SPECS = (leased("ocr"), leased("asr", concurrency=1))


async def submit(harness: ApiHarness, type: str = "ocr", **fields: Any) -> str:
    return await harness.submit(type, {"page": 1}, **fields)


async def take(harness: ApiHarness, *types: str, worker: str = "w1", headers: Any = None, **fields: Any) -> list[Any]:
    body = {"types": list(types) or ["ocr"], "worker": worker, **fields}
    answer = await harness.call("POST", "/api/leases", body, headers=headers)
    return list(answer["leases"])


async def one(harness: ApiHarness, **fields: Any) -> tuple[str, str]:
    """A job that is leased, and the path of its lease."""
    job_id = await submit(harness)
    [lease] = await take(harness, **fields)
    assert lease["jobId"] == job_id
    return job_id, f"/api/leases/{lease['token']}"


async def lost(harness: ApiHarness, method: str, path: str, body: Any, headers: Any = None) -> None:
    """The call is told that the lease is lost."""
    problem = await harness.call(method, path, body, status=409, headers=headers)
    assert problem["type"].endswith("lease_lost")


async def every_write_is_refused(harness: ApiHarness, path: str, headers: Any = None) -> None:
    await lost(harness, "PUT", path, {"progress": 99}, headers)
    await lost(harness, "PUT", f"{path}/steps/a", {"result": 1}, headers)
    await lost(harness, "POST", f"{path}/complete", {"result": "stale"}, headers)
    await lost(harness, "POST", f"{path}/partial", {"result": "stale", "missing": [1]}, headers)
    error = {"class": "deterministic", "type": "stale", "message": "stale"}
    await lost(harness, "POST", f"{path}/fail", {"error": error}, headers)
    await lost(harness, "POST", f"{path}/release", {"reason": "stale"}, headers)
