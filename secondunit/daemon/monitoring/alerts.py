"""Alert dispatcher: tells the operator's ALERT_URL of conditions, once when one begins and once when it is over."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
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


class Alerts:
    """An instrumentation sink that hears of conditions, and a loop that sends. What can't be sent is sent later."""

    def __init__(self, after: timedelta, clock: Clock, box: str) -> None:
        self._after = after
        self._clock = clock
        self._box = box
        self._seen: Sequence[Condition] = ()
        self._news = asyncio.Event()
        self._told: dict[tuple[str, str], str] = {}

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
        now = {(c.word, c.subject): c.sentence for c in worth_telling(self._seen, self._after, self._clock.now())}
        for key, text in now.items():
            if key not in self._told and await send(self._message(key[0], "firing", text)):
                self._told[key] = text
        for key, text in tuple(self._told.items()):
            if key not in now and await send(self._message(key[0], "resolved", f"over: {text}")):
                del self._told[key]

    def _message(self, word: str, state: str, text: str) -> Mapping[str, str]:
        return {"text": f"{self._box}: {text}", "alert": word, "state": state, "box": self._box}


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
