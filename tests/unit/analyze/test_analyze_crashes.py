"""The analyze job on a real queue: what a crash, a rate limit and a lost answer cost, and that no answer is paid twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers import analyze
from secondunit.handlers.tools.workspace import WorkFolders
from secondunit.queue.context import Hooks
from secondunit.queue.model import Job, JobId, Status
from secondunit.queue.outcome import Postponed, Transient, Unanswered
from secondunit.queue.service import Submission
from secondunit.queue.state import expire
from secondunit.queue.store import Store
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.queue.worker import Worker
from secondunit.testing.jobs import BOOT, TTL
from secondunit.testing.rig import Rig

URL = "https://videos.test/soup.mp4"


class Box(Rig):
    """A worker that analyses in real folders."""

    def __init__(self, kitchen: Any, folder: Path) -> None:
        self.doubts: list[tuple[str, int]] = []
        hooks = Hooks(found_in_doubt=lambda job, step, sends: self.doubts.append((step, sends)))
        super().__init__(analyze.build(kitchen.tools), hooks=hooks)
        self.kitchen = kitchen
        self.clock = kitchen.clock
        self.store = kitchen.store
        self.store.listen(self.hub.publish)
        self.house = replace(self.house, store=self.store, clock=self.clock, workspaces=WorkFolders(folder))
        self.start_over()

    def start_over(self) -> None:
        """A new worker, as after a restart."""
        self.worker = Worker(self.house, self.registry, boot=BOOT, ttl=TTL, most=5)
        self.queue._store = self.queue.store = self.store  # type: ignore[misc,attr-defined]

    async def ask(self, url: str = URL) -> JobId:
        job, _ = await self.queue.submit(Submission("analyze", {"videoUrl": url}))
        return job.id
