"""Inspection: what one look at the daemon shows, of which /health has figures; and what conditions are made of."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from secondunit.daemon.automation.polls import Polling
from secondunit.daemon.config.job_types import BrokenJobType
from secondunit.daemon.monitoring.bucket_troubles import BucketTrouble
from secondunit.daemon.monitoring.disk_guard import MediaDisk
from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.model import Counts, JobId
from secondunit.queue.sight.boxes import SeenBox
from secondunit.queue.value import Value


class Opened(Protocol):
    """The database of the queue; `unchecked` while it is still looked through for damage since the start."""

    @property
    def unchecked(self) -> bool: ...


class Guard(Protocol):
    """The guard of the database's disk."""

    @property
    def closed(self) -> bool: ...


class Takeover(Protocol):
    """The poller of active mode."""

    state: Polling

    def figures(self) -> Mapping[str, Any]: ...


class Provider(Protocol):
    """A service outside that jobs ask: `trouble` says why it can't be used, `refused` that waiting won't help."""

    @property
    def trouble(self) -> str | None: ...

    @property
    def refused(self) -> bool: ...


class Metered(Provider, Protocol):
    """One that is paid for."""

    async def used_up(self) -> str | None:
        """Why nothing more may be spent today."""
        ...


class Poison(Protocol):
    """The jobs under which the daemon died again and again."""

    def recent(self) -> Sequence[JobId]: ...


@dataclass(frozen=True, slots=True)
class Box:
    """What stays the same while the daemon runs; more than `failed_jobs` listed, or fewer bytes free, is wrong."""

    version: str
    engine: Mapping[str, str]
    boot: str
    name: str
    mode: str
    data_dir: Path
    media: Media | MediaMissing
    broken: Sequence[BrokenJobType]
    gemini: bool
    stall: timedelta
    failed_jobs: int
    least_free: int = 512 << 20
    browser: Mapping[str, object] = field(default_factory=dict)
    sandbox: Mapping[str, object] = field(default_factory=dict)


class LogLines(Protocol):
    """The log: whether lines of it are being lost, and how many were."""

    @property
    def losing(self) -> bool: ...

    lost: int


class Plans(Protocol):
    """The schedules that come no more though nobody paused them, each with the reason."""

    @property
    def stopped(self) -> Mapping[str, str]: ...


class Roots(Protocol):
    """The disks of MEDIA_ROOTS."""

    @property
    def seen(self) -> Mapping[Path, MediaDisk]: ...


class Stores(Protocol):
    """The buckets that could not be used, by name."""

    def recent(self) -> Mapping[str, BucketTrouble]: ...


class Watched(Value, frozen=True):
    """The parts that are asked how they are; None where there is no such part.

    `polled_by` names the box that polls for all of the queue, on boxes that could.
    """

    database: Opened
    disk: Guard
    log: LogLines
    poisoned: Poison
    media: Roots
    buckets: Stores
    schedules: Plans
    poller: Takeover | None = None
    gemini: Metered | None = None
    geocoder: Provider | None = None
    polled_by: Callable[[], str | None] = lambda: None
    boxes: Callable[[], Awaitable[Sequence[SeenBox]]] | None = None


class QueueInspection(Value, frozen=True):
    """What the queue's store shows; `stuck` are running jobs that don't move, `used_up` says of a budget that it is.

    `given_up` are the last jobs of which a delivery was.
    """

    counts: Counts
    stuck: Sequence[JobId]
    deliveries: Mapping[str, int]
    used_up: str | None = None
    paused: Collection[str] = ()
    boxes: Sequence[SeenBox] = ()
    given_up: Sequence[JobId] = ()


class Inspection(Value, frozen=True):
    """One look: the parts, the types that are served, bytes free on the disk, and the queue or why it can't be read."""

    box: Box
    parts: Watched
    types: Mapping[str, HandlerSpec]
    free: int
    queue: QueueInspection | None
    fault: str | None = None

    @property
    def boxes(self) -> Sequence[SeenBox]:
        """The daemons that share the queue, this one among them."""
        return self.queue.boxes if self.queue else ()


class Finding(Value, frozen=True):
    """What is wrong, and with which of several things; `since` where that is known.

    `passing`: it may well be over by itself, so that nobody is called before it has lasted a while.
    """

    text: str
    subject: str = ""
    since: datetime | None = None
    passing: bool = False


class Kind(Value, frozen=True):
    """A kind of condition: its stable word, what to do about it, what is true once it is over, how it is found.

    `over` may name the `{subject}`.
    """

    word: str
    remedy: str
    over: str
    find: Callable[[Inspection], Iterator[Finding]]
