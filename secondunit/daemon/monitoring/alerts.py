"""Tells the operator's ALERT_URL what is wrong: once when it begins, and once when it is over."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout

from secondunit.daemon.automation.poller import Polling
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact, JobsMoved

LOOK_EVERY = 30.0
TIMEOUT = ClientTimeout(total=15)
POISON_TOLD_FOR = timedelta(hours=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the alerts are judged by: the backend as last polled, running jobs that don't move, and so on."""

    polling: Polling | None = None
    stuck: Sequence[str] = ()
    poisoned: Sequence[str] = ()
    dead_deliveries: int = 0
    disk_full: bool = False
    store: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a number or a span is worth an alert."""

    failed_jobs: int
    unreachable: timedelta


def judged(sight: Sight, limits: Limits, now: datetime) -> Mapping[str, str]:
    """What is wrong, by a stable word, each with a sentence for a person."""
    found: dict[str, str] = {}
    polling = sight.polling
    if polling and polling.found > limits.failed_jobs:
        found["failed_jobs"] = f"the backend lists {polling.found} failed jobs, more than {limits.failed_jobs}"
    if polling and polling.down_since and now - polling.down_since >= limits.unreachable:
        since = polling.down_since.strftime("%Y-%m-%d %H:%M UTC")
        found["backend_down"] = f"the backend has not been reached since {since}: {polling.trouble}"
    if sight.stuck:
        found["stuck_jobs"] = f"{len(sight.stuck)} jobs do not move: {', '.join(sight.stuck[:5])}; `secondunit recover`"
    if sight.poisoned:
        jobs = ", ".join(sight.poisoned[:5])
        found["poison_jobs"] = f"the daemon died again and again under {jobs}; it is failed until it is retried by hand"
    if sight.dead_deliveries:
        found["dead_deliveries"] = f"{sight.dead_deliveries} deliveries were given up; `secondunit jobs deliveries JOB`"
    if sight.disk_full:
        found["disk_full"] = "the disk is full: no new jobs are taken until there is room"
    if sight.store:
        found["store_degraded"] = f"the database can't be used: {sight.store}"
    return found


class Poisoned:
    """A sink that remembers jobs that failed as poison within the last hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: dict[str, datetime] = {}

    def __call__(self, fact: Fact) -> None:
        """Hear of them."""
        for event in fact.events if isinstance(fact, JobsMoved) else ():
            if event.error and event.error.type == "poison":
                self._found[event.job_id] = event.at

    def recent(self) -> Sequence[str]:
        """Their ids."""
        oldest = self._clock.now() - POISON_TOLD_FOR
        self._found = {id: at for id, at in self._found.items() if at > oldest}
        return list(self._found)


class Alerts:
    """Looks now and then, and tells of what began and of what is over. A message that can't be sent is sent later."""

    def __init__(
        self,
        look: Callable[[], Awaitable[Sight]],
        send: Callable[[Mapping[str, str]], Awaitable[bool]],
        limits: Limits,
        clock: Clock,
        box: str,
    ) -> None:
        self._look = look
        self._send = send
        self._limits = limits
        self._clock = clock
        self._box = box
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Look once, and tell what is new."""
        found = judged(await self._look(), self._limits, self._clock.now())
        for word, text in found.items():
            if word not in self._told and await self._say(word, "firing", f"{self._box}: {text}"):
                self._told[word] = text
        for word, text in tuple(self._told.items()):
            if word not in found and await self._say(word, "resolved", f"{self._box}: over: {text}"):
                del self._told[word]

    async def _say(self, word: str, state: str, text: str) -> bool:
        return await self._send({"text": text, "alert": word, "state": state, "box": self._box})


class AlertHook:
    """The sender. Its URL may hold a secret, so it never stands in the log, nor does what a client says of it."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def __call__(self, message: Mapping[str, str]) -> bool:
        """Send it; False, and a line in the log, when that failed."""
        why = "it refused the connection or broke it off"
        try:
            async with self._session.post(self._url, json=message, timeout=TIMEOUT, allow_redirects=False) as response:
                if response.status < 300:
                    return True
                why = f"it answered {response.status}"
        except TimeoutError:
            why = f"it did not answer within {TIMEOUT.total:g} s"
        except (ClientError, OSError, ValueError):
            pass
        log.warning("alert.unsent", message=f"ALERT_URL did not take the alert {message['alert']}: {why}")
        return False
