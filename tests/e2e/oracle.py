"""A plugin of which a test decides what its jobs answer."""

import sqlite3
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

from secondunit.testing.fakes.gemini import StandIn
from tests.e2e.conftest import Daemon, installed_plugin

PLUGIN = textwrap.dedent("""
    from pathlib import Path

    from pydantic import BaseModel
    from secondunit.handlers.tools.gemini.conversation import Conversation
    from secondunit.handlers.tools.gemini.transport import Question
    from secondunit.queue.handler import HandlerSpec, JobContext
    from secondunit.queue.outcome import Partial


    class Payload(BaseModel):
        question: str
        path: str


    def build(tools) -> HandlerSpec:
        def check(payload: Payload) -> None:
            tools.files.check("path", payload.path)

        async def run(ctx: JobContext, payload: Payload):
            question = Question("Be brief.", [payload.question], {"type": "object"}, 1000)
            said = await Conversation(tools.gemini, tools.clock, ctx).understand("ask", question, str)
            async with tools.files.target(payload.path, ctx) as target:
                target.path.write_text(said)
                await target.publish()
            result = {"written": payload.path, "soon": payload.question.endswith("?")}
            return Partial(result, ["the rest"]) if ctx.epoch == 1 else result

        return HandlerSpec(
            type="oracle",
            payload=Payload,
            run=run,
            check=check,
            paid=True,
            artifacts=lambda result: {"answer.json": result["written"]},
            retry_partial=lambda job: job.result["soon"],
        )
""")


class Oracle:
    """Daemons that serve it, one after the other, and a stand-in for Gemini."""

    def __init__(self, start: Any, folder: Path, gemini: StandIn, url: str) -> None:
        self._start = start
        self.folder = folder
        self.gemini = gemini
        self.key = {"GEMINI_API_KEY": "no-key", "GEMINI_BASE_URL": url}
        installed_plugin(folder / "plugins", "oracle", PLUGIN)

    def daemon(self, **environ: str) -> Daemon:
        daemon: Daemon = self._start(**environ).ready()
        return daemon

    def ask(self, daemon: Daemon, question: str) -> Any:
        path = self.folder / "data" / "media" / "answer.txt"
        body = {"type": "oracle", "payload": {"question": question, "path": str(path)}}
        return daemon.call("POST", "/api/jobs", body)

    def pass_by(self, minutes: int) -> None:
        """What ended did so this much earlier."""
        with closing(sqlite3.connect(self.folder / "data" / "queue.db")) as database, database:
            database.execute("update jobs set finished_at = finished_at - ?", (minutes * 60_000_000,))
