"""A browser child that answers what a test says."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.fetching.browser.client import (
    Browser,
    Chromium,
)
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.programs.ports import Finished
from secondunit.queue.clock import Clock
from secondunit.testing.clock import ManualClock

MOST = 1 << 20


class FakeChild:
    """In the place of the child program: says what it is told to, once it is let go."""

    def __init__(self, *lines: Any, returncode: int = 0) -> None:
        self.lines = lines
        self.returncode = returncode
        self.words = "the last words"
        self.again: Sequence[Any] = ()  # what it says from the second time on, if that is something else
        self.told: list[dict[str, Any]] = []
        self.argv: list[str] = []
        self.running = self.most = 0
        self.go = asyncio.Event()
        self.go.set()

    async def run(
        self, argv: Sequence[str], *, cwd: Path, on_line: Any = None, stdin: bytes | None = None, **_: Any
    ) -> Finished:
        self.argv = list(argv)
        self.told.append(json.loads(stdin or b""))
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        for line in self.lines if len(self.told) == 1 else self.again or self.lines:
            if "caught" in line:
                file = cwd / "downloads" / line["caught"]["name"]
                await asyncio.to_thread(file.write_bytes, line.pop("content"))
            await on_line(json.dumps(line))
        self.running -= 1
        return Finished(self.returncode, self.words)


TRAIL = {"lead": {"url": "http://127.0.0.1/f", "stream": False, "headers": {}}}


def browser(child: FakeChild, egress: Egress, clock: Clock | None = None) -> Browser:
    return Browser(child, egress, clock or ManualClock(), Chromium("/bin/chromium", "1"), sys.executable)
