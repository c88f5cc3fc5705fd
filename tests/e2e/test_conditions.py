"""What is wrong reaches whoever looks at /health, at the metrics, or only at the messages of ALERT_URL."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.fakes.listening import listening
from tests.e2e.conftest import Daemon, beside
from tests.e2e.oracle import Oracle

pytestmark = pytest.mark.e2e
WITHIN = 45.0


@asynccontextmanager
async def receiver(heard: list[Any]) -> AsyncIterator[str]:
    """Takes alerts; its URL."""

    async def take(request: web.Request) -> web.Response:
        heard.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/alerts", take)
    async with listening(app) as url:
        yield f"{url}/alerts"


class Watched(Oracle):
    """Daemons with a stand-in for Gemini whose alerts are heard."""

    heard: list[Any]

    def reaches_everyone(self, daemon: Daemon, word: str) -> dict[str, str]:
        """The one alert of this word, after a look at the other outlets."""
        [reason] = [reason for reason in daemon.call("GET", "/health").body["reasons"] if reason.startswith(word)]
        assert f'secondunit_degraded{{reason="{word}"}} 1.0' in daemon.call("GET", "/metrics").body
        end = time.monotonic() + WITHIN
        while not (alerts := [alert for alert in self.heard if alert["alert"] == word]):
            assert time.monotonic() < end, f"{self.heard} and no {word}"
            time.sleep(0.1)
        [alert] = alerts
        assert alert["state"] == "firing" and alert["text"].endswith(reason.removeprefix(f"{word}: "))
        return dict(alert)


@pytest.fixture
def watched(start: Any, tmp_path: Path) -> Iterator[Watched]:
    stand_in = StandIn()
    heard: list[Any] = []
    with (
        beside(lambda stack: stack.enter_async_context(stand_in.serving())) as url,
        beside(lambda stack: stack.enter_async_context(receiver(heard))) as alerts,
    ):
        made = Watched(start, tmp_path, stand_in, url)
        made.heard, made.key = heard, {**made.key, "ALERT_URL": alerts, "ALERT_AFTER_MINUTES": "0"}
        yield made


@pytest.mark.long
def test_a_key_that_gemini_refuses_reaches_everyone_and_so_does_its_end(watched: Watched) -> None:
    watched.gemini.script.append("key")
    daemon = watched.daemon(**watched.key)
    daemon.until(watched.ask(daemon, "What is it").body["jobId"], "failed")
    assert "GEMINI_API_KEY" in watched.reaches_everyone(daemon, "gemini_trouble")["text"]
    daemon.until(watched.ask(daemon, "What is it").body["jobId"], "partial")
    end = time.monotonic() + WITHIN
    while ("gemini_trouble", "resolved") not in [(alert["alert"], alert["state"]) for alert in watched.heard]:
        assert time.monotonic() < end, watched.heard
        time.sleep(0.1)


def test_a_budget_that_is_used_up_reaches_everyone(watched: Watched) -> None:
    daemon = watched.daemon(**watched.key, GEMINI_DAILY_TOKENS="1000")
    daemon.until(watched.ask(daemon, "What is it").body["jobId"], "partial")
    assert "1250 of GEMINI_DAILY_TOKENS=1000" in watched.reaches_everyone(daemon, "budget_used_up")["text"]
    metrics = daemon.call("GET", "/metrics").body.splitlines()
    assert {
        'secondunit_llm_budget_tokens{state="used"} 1250.0',
        'secondunit_llm_budget_tokens{state="limit"} 1000.0',
    } <= {*metrics}


def test_what_is_missing_at_the_start_is_told_though_nobody_asks(watched: Watched) -> None:
    watched.daemon(ALERT_URL=watched.key["ALERT_URL"], PROCESSOR_MODE="active", BACKEND_API_URL="http://127.0.0.1:9")
    end = time.monotonic() + WITHIN
    while not watched.heard:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert watched.heard[0]["alert"] == "gemini_key_missing" and "set GEMINI_API_KEY" in watched.heard[0]["text"]
