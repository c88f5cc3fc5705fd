"""Live views: the changing parts of pages that are open, rendered once for all who look at the same, and pushed.

At most once a second, and never for more than a tenth of the time: with many different views each is newer less often.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from secondunit.queue.clock import Clock
from secondunit.queue.errors import QueueError
from secondunit.queue.model import Event

EVERY, LOOK_AT_LEAST_EVERY = 1.0, 10.0
REST = 10.0  # for each second of rendering
BEAT_EVERY = 15.0
BEAT = b"event: beat\n\n"  # comments don't reach the page's script, and a network that is gone says nothing

Parts = Mapping[str, str]
Make = Callable[[], Awaitable[Parts]]
log = structlog.get_logger(__name__)


class LiveView:
    """One view and what was last sent of it; `version` counts what was."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._parts: Parts = {}
        self._change = b""
        self._begun = self._ended = 0
        self._refreshed = asyncio.Event()
        self._failure: BaseException | None = None
        self.version = 0
        self.viewers = 0

    async def first(self) -> tuple[int, bytes]:
        """All of it as it is from now on, and its version: the page of who begins to look is newer than that."""
        fresh = self._begun + 1
        while self._ended < fresh:
            await self._turn()
        return self.version, message(self._parts)

    async def next(self, seen: int) -> tuple[int, bytes]:
        """What to send to who has seen a version, as soon as there is a newer one, and which that is."""
        while self.version == seen:
            await self._turn()
        return self.version, self._change if self.version == seen + 1 else message(self._parts)

    def fail(self, failure: BaseException) -> None:
        """Hand a fault to those who look, in whose requests it is told; other views go on."""
        self._failure = failure
        self._refreshed.set()

    async def refresh(self) -> None:
        """Render it anew."""
        self._begun += 1
        this = self._begun
        parts = await self._make()
        changed = {id: part for id, part in parts.items() if self._parts.get(id) != part}
        if changed:
            self._parts, self._change = parts, message(changed)
            self.version += 1
        self._ended = this
        self._refreshed.set()
        self._refreshed = asyncio.Event()

    async def _turn(self) -> None:
        if self._failure is not None:
            raise self._failure
        await self._refreshed.wait()


class LiveViews:
    """The views that somebody looks at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._views: dict[Hashable, LiveView] = {}
        self._news = asyncio.Event()
        self._looked_at = asyncio.Event()

    def hear(self, _: Sequence[Event] = ()) -> None:
        """Something happened; whatever it was."""
        if self._views:
            self._news.set()

    @contextmanager
    def watched(self, key: Hashable, make: Make) -> Iterator[LiveView]:
        """The view of this key, which `make` renders, for as long as this is open."""
        view = self._views.setdefault(key, LiveView(make))
        view.viewers += 1
        self._looked_at.set()
        self._news.set()
        try:
            yield view
        finally:
            view.viewers -= 1
            if not view.viewers:
                del self._views[key]
            if not self._views:
                self._looked_at.clear()

    async def run(self) -> None:
        """Render what is looked at, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_now_and_then())
            while True:
                await self._news.wait()
                self._news.clear()
                began = self._clock.monotonic()
                for view in tuple(self._views.values()):
                    [failure] = await asyncio.gather(view.refresh(), return_exceptions=True)
                    if isinstance(failure, QueueError):  # the next round may do better; what is shown stays
                        log.warning("dashboard.view_failed", error=str(failure))
                    elif failure is not None:
                        view.fail(failure)
                took = self._clock.monotonic() - began
                await self._clock.sleep(max(EVERY, took * REST))

    async def _look_now_and_then(self) -> None:
        """What no event tells of changes, too: how long the oldest job has waited, what is wrong."""
        while True:
            await self._looked_at.wait()
            await self._clock.sleep(LOOK_AT_LEAST_EVERY)
            self.hear()


async def feed(view: LiveView, send: Callable[[bytes], Awaitable[None]], beat_every: float = BEAT_EVERY) -> None:
    """Send what is new of a view, for ever, and of nothing new that it is so."""
    version, news = await view.first()
    while True:
        await send(news)
        try:
            async with asyncio.timeout(beat_every):
                version, news = await view.next(version)
        except TimeoutError:
            news = BEAT


def message(parts: Parts) -> bytes:
    """The parts as one message of a stream (WHATWG HTML, 9.2), each to take the place of what has its id."""
    html = "\n".join(
        f'<hx-partial hx-target="#{id}" hx-swap="innerMorph">{part}</hx-partial>' for id, part in parts.items()
    )
    return b"".join(b"data: %b\n" % line.encode() for line in html.splitlines()) + b"\n"
