"""Alert dispatcher: tells the operator's ALERT_URL of conditions, once when one begins and once when it is over."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout

from secondunit.daemon.monitoring.conditions import Condition, ConditionsSeen
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact

TIMEOUT = ClientTimeout(total=15)

log = structlog.get_logger(__name__)
Send = Callable[[Mapping[str, str]], Awaitable[bool]]


def worth_telling(conditions: Sequence[Condition], after: timedelta, now: datetime) -> Sequence[Condition]:
    """Those that an operator is called for: what may pass by itself, once it has lasted so long."""
    return [condition for condition in conditions if not condition.passing or now - condition.since >= after]


@dataclass(slots=True)
class _Told:
    """A condition that the operator was told of, and since which monotonic second it has been away."""

    condition: Condition
    away: float | None = None


class Alerts:
    """An instrumentation sink that hears of conditions, and a loop that sends. What can't be sent is sent later.

    One that comes and goes is one alert: it is over when the condition has been away for as long as one that may pass
    has to last.
    """

    def __init__(self, after: timedelta, clock: Clock, box: str) -> None:
        self._after = after
        self._clock = clock
        self._box = box
        self._seen: Sequence[Condition] = ()
        self._news = asyncio.Event()
        self._told: dict[tuple[str, str], _Told] = {}

    def __call__(self, fact: Fact) -> None:
        """Take note of what is wrong now."""
        if isinstance(fact, ConditionsSeen):
            self._seen = fact.conditions
            self._news.set()

    async def run(self, send: Send) -> None:
        """Tell for ever, after each look at the conditions."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._tell(send)

    async def _tell(self, send: Send) -> None:
        for condition in worth_telling(self._seen, self._after, self._clock.now()):
            text = condition.sentence
            if condition.key not in self._told and await send(self._message(condition, "firing", text)):
                self._told[condition.key] = _Told(condition)
        here = {condition.key for condition in self._seen}
        for key, told in tuple(self._told.items()):
            if key in here:
                told.away = None
            elif self._over(told) and await send(self._message(told.condition, "resolved", told.condition.over)):
                del self._told[key]

    def _over(self, told: _Told) -> bool:
        now = self._clock.monotonic()
        told.away = now if told.away is None else told.away
        return now - told.away >= self._after.total_seconds()

    def _message(self, condition: Condition, state: str, text: str) -> Mapping[str, str]:
        return {"text": f"{self._box}: {text}", "alert": condition.word, "state": state, "box": self._box}


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
