"""Submissions, and a handler that never ends."""

import asyncio
from typing import Any

from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Submission
from secondunit.testing.rig import spec


async def forever(ctx: JobContext, payload: Any) -> None:
    await asyncio.Event().wait()


def hls(**fields: Any) -> HandlerSpec:
    return spec("hls", forever, **fields)


def asked(n: int = 0, **fields: Any) -> Submission:
    return Submission("hls", {"n": n}, **fields)
