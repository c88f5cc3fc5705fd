"""A run of the asynchronous worker against a daemon that is played."""

import asyncio
from typing import Any

from secondunit.client.aio_work import AsyncLeases, AsyncRun, awaited_leases
from secondunit.client.calls import Call
from secondunit.client.leases import lease_of

LEASE = lease_of({
    "token": "lt", "jobId": "job_a", "type": "ocr", "payload": {}, "attempt": 1, "epoch": 2,
    "expiresAt": "2026-01-01T00:00:30.000Z", "steps": {},
})  # fmt: skip


async def test_a_handler_that_is_cancelled_by_others_than_its_worker_has_failed() -> None:
    calls: list[Call] = []

    async def ask(call: Call, patience: float | None = None) -> Any:
        calls.append(call)
        return {"cancelRequested": False}

    async def cut_off(_: AsyncRun) -> None:
        raise asyncio.CancelledError

    await AsyncRun(AsyncLeases(ask, awaited_leases), LEASE).finish(cut_off)
    [end] = [call for call in calls if call.method == "POST"]
    assert end.path.endswith("/fail"), "a release would cost nothing, and come again for ever"
    assert end.body["error"] == {"class": "transient", "type": "CancelledError", "message": "CancelledError"}
