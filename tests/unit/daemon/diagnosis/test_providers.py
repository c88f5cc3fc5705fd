"""Services outside, as doctor asks them: what is dead or refuses us is named, and nothing is spent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from secondunit.daemon.config.loader import load
from secondunit.daemon.dashboard.texts import Texts, read_catalogue
from secondunit.daemon.diagnosis.checks import CheckResult, examined
from secondunit.daemon.diagnosis.providers import provider_looks
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.wiring.backend import operators_session
from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.fakes.listening import listening
from secondunit.testing.fakes.nominatim import Nominatim

CHINESE = Texts("zh-Hant", read_catalogue()["zh-Hant"])
NOBODY = "http://127.0.0.1:9"
GONE = Path("/nonexistent/config.toml")


async def found(name: str, **environ: str) -> CheckResult:
    """What is found of this service with these variables; no other is there."""
    given = {"BACKEND_API_URL": NOBODY, "GEMINI_BASE_URL": NOBODY, "GEOCODER_URL": NOBODY, **environ}
    async with operators_session("test") as session:
        settings = (await asyncio.to_thread(load, given, default_file=GONE)).settings
        looks = provider_looks(settings, session, SystemClock())
        [check] = await examined(look for look in looks if look.name == name)
    assert check.remedy or check.state == "ok"
    return check


def in_chinese(text: str) -> str:
    """As the pages say it."""
    return CHINESE.said(text)


@asynccontextmanager
async def backend(status: int, body: Any) -> AsyncIterator[str]:
    """A stand-in for the backend, with this list; its URL."""

    async def listed(request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/v1/analysis/failed", listed)
    async with listening(app) as url:
        yield url


async def test_a_dead_backend_is_found_where_it_is_polled() -> None:
    check = await found("backend", PROCESSOR_MODE="active")
    assert check.state == "bad" and "127.0.0.1:9 refused the connection" in check.found
    assert "BACKEND_API_URL" in check.remedy
    assert in_chinese(check.found) == "http://127.0.0.1:9：127.0.0.1:9 拒絕連線"
    assert (await found("backend")).state == "ok", "nobody asks it in passive mode"


@pytest.mark.parametrize(
    ("status", "body", "state", "told", "chinese"),
    [
        (200, [], "ok", "gives its list", "會提供清單"),
        (403, {}, "bad", "INTERNAL_API_KEY", "回應 403：請檢查 INTERNAL_API_KEY"),
        (500, {}, "bad", "answered 500", "回應 500"),
        (200, {"a": 1}, "bad", "answered JSON that is no list", "回應的 JSON 不是清單"),
        (200, [{"id": 1}], "warn", "1 of 1 rows", "有 1 列無法讀取"),
    ],
)
async def test_what_a_backend_answers_is_judged(status: int, body: Any, state: str, told: str, chinese: str) -> None:
    async with backend(status, body) as url:
        check = await found("backend", PROCESSOR_MODE="active", BACKEND_API_URL=url, INTERNAL_API_KEY="k" * 20)
    assert (check.state, told in check.found) == (state, True), check
    assert chinese in in_chinese(check.found)


async def test_a_wrong_gemini_key_and_a_model_that_is_gone_are_found_at_no_cost() -> None:
    stand_in = StandIn(keys=["right"])
    async with stand_in.serving() as url:
        wrong = await found("gemini", GEMINI_BASE_URL=url, GEMINI_API_KEY="wrong")
        gone = await found("gemini", GEMINI_BASE_URL=url, GEMINI_API_KEY="right", GEMINI_MODEL="gone")
        right = await found("gemini", GEMINI_BASE_URL=url, GEMINI_API_KEY="right", GEMINI_MODEL="models/x")
    assert wrong.state == "bad" and "refused the key" in wrong.found and "set GEMINI_API_KEY" in wrong.remedy
    assert gone.state == "bad" and "set GEMINI_MODEL" in gone.remedy
    assert right.state == "ok" and not stand_in.asked, "no question was put"


async def test_gemini_out_of_reach_is_a_warning_and_no_key_is_a_fault_in_active_mode_only() -> None:
    check = await found("gemini", GEMINI_API_KEY="k")
    assert check.state == "warn" and "refused the connection" in check.found
    assert (await found("gemini")).state == "ok"
    check = await found("gemini", PROCESSOR_MODE="active")
    assert check.state == "bad" and "nothing is polled" in check.found


async def test_the_geocoder_is_asked_for_no_place() -> None:
    geocoder = Nominatim()
    async with geocoder.serving() as url:
        assert (await found("geocoder", GEMINI_API_KEY="k", GEOCODER_URL=url)).state == "ok"
    assert not geocoder.asked
    assert (await found("geocoder", GEMINI_API_KEY="k")).state == "warn"
    assert (await found("geocoder")).state == "ok", "nothing needs it"
