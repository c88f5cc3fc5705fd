"""A job type of one's own, as the documentation writes it, installed as a distribution of its own."""

import textwrap
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

AS_DOCUMENTED = textwrap.dedent("""
    from pydantic import BaseModel
    from secondunit.queue.handler import HandlerSpec, JobContext

    class Payload(BaseModel):
        n: int = 0

    async def double(n: int) -> dict:
        return {"value": 2 * n}

    def build(tools) -> HandlerSpec:
        async def run(ctx: JobContext, payload: Payload) -> dict:
            await ctx.progress(0.5, "half way")                            # 0 to 1 here, 0 to 100 on the wire
            return await ctx.step("double", lambda: double(payload.n))      # stored when done, not repeated
        return HandlerSpec(type="double", payload=Payload, run=run, concurrency=10)
""")


def test_the_documented_plugin_works_as_written(start: Any, tmp_path: Path) -> None:
    info = tmp_path / "plugins" / "doubler-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: doubler\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[secondunit.handlers]\ndouble = doubler:build\n")
    (tmp_path / "plugins" / "doubler.py").write_text(AS_DOCUMENTED)
    daemon = start().ready()
    answer = daemon.call("POST", "/api/jobs", {"type": "double", "payload": {"n": 21}})
    assert daemon.until(answer.body["jobId"], "completed")["result"] == {"value": 42}
    refused = daemon.call("POST", "/api/jobs", {"type": "double", "payload": {"m": 1}})
    assert refused.status == 422 and refused.body["errors"][0]["field"] == "payload.m"


def test_a_queued_job_whose_type_is_gone_waits_and_degrades_health(start: Any, tmp_path: Path) -> None:
    daemon = start().ready()
    later = {"type": "sleep", "payload": {}, "runAt": "2099-01-01T00:00:00Z"}
    job_id = daemon.call("POST", "/api/jobs", later).body["jobId"]
    daemon.process.kill()
    daemon.process.wait()
    (tmp_path / "plugins" / "sleeper-1.0.dist-info" / "entry_points.txt").unlink()
    without = start().ready()
    health = without.call("GET", "/health").body
    assert health["status"] == "degraded" and any("unknown_type" in reason for reason in health["reasons"])
    assert without.job(job_id)["status"] == "queued"
