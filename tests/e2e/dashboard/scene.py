"""What the tests in a browser share: a key, jobs, settings, and waiting for what a page shows."""

from tests.e2e.conftest import Daemon

SOURCES = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=2", "-f", "lavfi", "-i", "sine=440:duration=2")
FILM = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
SCHEDULES = """
[[schedule]]
name = "nightly site"
cron = "30 3 1 1 *"
job = {type = "sleep", payload = {seconds = 600}}
"""
KEY = "the-key-of-the-settings"
FAILING = """
import asyncio
from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec


class Payload(BaseModel):
    inputPath: str


def build(tools):
    async def run(ctx, payload):
        raise ValueError("no moov atom in " + payload.inputPath)

    return HandlerSpec(type="clip", payload=Payload, run=run, concurrency=5)
"""


def submitted(daemon: Daemon, type: str, payload: object) -> str:
    ask = {"type": type, "payload": payload, "retryPolicy": {"maxRetries": 0}}
    return str(daemon.call("POST", "/api/jobs", ask, X_API_Key=KEY).body["jobId"])


def until(daemon: Daemon, job_id: str, status: str) -> None:
    for _ in range(3000):
        if daemon.call("GET", f"/api/jobs/{job_id}", X_API_Key=KEY).body["status"] == status:
            return
    raise AssertionError(f"{job_id} is not {status}")
