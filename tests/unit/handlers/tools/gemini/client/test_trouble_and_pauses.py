"""Gemini that fails, limits or is set up wrongly: trouble that is told, and pauses that everybody keeps."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.responses import read
from secondunit.queue.outcome import Deterministic, Postponed, Transient, Unanswered
from secondunit.testing.rig import SteadyRandom
from tests.unit.handlers.tools.gemini.client.scene import NOON, QUESTION, bench

pytestmark = pytest.mark.slow  # the real client takes seconds to import


@pytest.mark.parametrize("code", [500, 502, 503, 504, 408])
async def test_a_failing_service_is_worth_another_try(code: int) -> None:
    async with bench(f"status:{code}") as b:
        assert (await b.refused(Transient)).type == "gemini_unavailable"
        assert b.gemini.trouble is None


@pytest.mark.parametrize(
    ("behaviour", "type", "word"),
    [
        ("status:401", "gemini_key", "GEMINI_API_KEY"),
        ("status:403", "gemini_key", "GEMINI_API_KEY"),
        ("key", "gemini_key", "GEMINI_API_KEY"),
        ("status:404", "gemini_model", "GEMINI_MODEL"),
        ("status:400", "gemini_refused", "400"),
    ],
)
async def test_a_wrong_configuration_is_trouble_until_an_answer_comes(behaviour: str, type: str, word: str) -> None:
    async with bench(behaviour, "status:500", "answer") as b:
        error = await b.refused(Deterministic)
        assert error.type == type and word in str(error)
        await b.refused(Transient)
        assert b.gemini.trouble == str(error) and b.gemini.refused, "a passing failure proves nothing"
        await b.ask()
        assert b.gemini.trouble is None and not b.gemini.refused


async def test_a_service_that_fails_again_and_again_is_in_trouble_until_it_answers() -> None:
    async with bench("status:503", "status:503", "close", "answer") as b:
        await b.refused(Transient)
        await b.refused(Transient)
        assert b.gemini.trouble is None
        await b.refused(Unanswered)
        assert "gemini_down" in str(b.gemini.trouble) and not b.gemini.refused
        await b.ask()
        assert b.gemini.trouble is None


async def test_a_service_that_goes_on_failing_parks_everybody_for_ever_longer_until_it_answers() -> None:
    async with bench(*(["status:503"] * 7), "answer") as b:
        for _ in range(4):
            await b.refused(Transient)
        await b.gemini.admit()
        for pause in (10, 20, 40):
            await b.refused(Transient)
            waiting = await b.refused(Postponed)
            assert waiting.delay.total_seconds() == pytest.approx(pause) and "gemini_down" in str(waiting)
            await b.clock.advance(pause)
        await b.ask()
        assert b.gemini.trouble is None
        await b.gemini.admit()


async def test_too_large_a_question_is_no_trouble_of_the_configuration() -> None:
    async with bench("status:413") as b:
        assert (await b.refused(Deterministic)).type == "too_large"
        assert b.gemini.trouble is None


async def test_a_rate_limit_parks_everybody_for_the_time_it_names() -> None:
    async with bench("rate:36.5") as b:
        error = await b.refused(Postponed)
        assert error.delay == timedelta(seconds=36.5) and "rate_limited" in str(error)
        await b.clock.advance(30)
        assert (await b.refused(Postponed)).delay == timedelta(seconds=6.5)
        assert len(b.stand_in.asked) == 1, "nobody knocks at a closed gate"
        assert "rate_limited" in str(b.gemini.trouble)
        await b.clock.advance(6.5)
        assert b.gemini.trouble is None
        await b.ask()


async def test_a_question_may_name_a_model_that_has_a_gate_of_its_own() -> None:
    async with bench("rate:36") as b:
        other = replace(QUESTION, model="gemini-y", temperature=0.7)
        with pytest.raises(Postponed, match="gemini-y"):
            await b.gemini.ask(other)
        await b.ask()
        with pytest.raises(Postponed):
            await b.gemini.admit("gemini-y")
        await b.clock.advance(36)
        await b.gemini.ask(other)
        assert [asked.model for asked in b.stand_in.asked] == ["gemini-y", "gemini-x", "gemini-y"]
        assert b.stand_in.asked[-1].body["generationConfig"]["temperature"] == 0.7


async def test_a_model_under_its_long_name_is_the_same_model() -> None:
    async with bench("rate:36") as b:
        with pytest.raises(Postponed):
            await b.gemini.ask(replace(QUESTION, model="models/gemini-x"))
        with pytest.raises(Postponed):
            await b.ask()
        assert b.gemini.trouble is not None and len(b.stand_in.asked) == 1
    assert Gemini(b.gemini._transport, "models/g", clock=b.clock, random=SteadyRandom(), spending=b.purse).model == "g"


@pytest.mark.parametrize(
    ("behaviour", "type", "trouble"),
    [("status:404", "gemini_model", False), ("status:400", "gemini_refused", False), ("key", "gemini_key", True)],
)
async def test_a_wrong_model_of_a_client_is_not_the_operators_trouble(behaviour: str, type: str, trouble: bool) -> None:
    async with bench(behaviour) as b:
        with pytest.raises(Deterministic) as caught:
            await b.gemini.ask(replace(QUESTION, model="gemini-y"))
        assert caught.value.type == type and "GEMINI_MODEL" not in str(caught.value)
        assert (b.gemini.trouble is not None) == trouble


async def test_an_answer_of_another_model_does_not_end_the_trouble() -> None:
    async with bench("status:404") as b:
        await b.refused(Deterministic)
        await b.gemini.ask(replace(QUESTION, model="gemini-y"))
        assert "set GEMINI_MODEL to one it has" in (b.gemini.trouble or "")


async def test_a_rate_limit_that_names_no_time_parks_for_a_minute() -> None:
    async with bench("quota") as b:
        assert (await b.refused(Postponed)).delay == timedelta(minutes=1)


async def test_a_daily_quota_parks_until_it_is_fresh_whatever_delay_is_named() -> None:
    async with bench("daily") as b:
        error = await b.refused(Postponed)
        assert error.delay == timedelta(hours=20) and "quota_exhausted" in str(error)


async def test_the_later_of_two_pauses_counts() -> None:
    async with bench("daily", "rate:5") as b:
        first, second = await asyncio.gather(b.ask(), b.ask(), return_exceptions=True)
        assert isinstance(first, Postponed) and isinstance(second, Postponed)
        await b.clock.advance(10)
        assert (await b.refused(Postponed)).delay > timedelta(hours=19)


async def test_those_who_wait_do_not_all_come_back_at_once() -> None:
    class Always:
        def random(self) -> float:
            return 0.5

        def randbytes(self, n: int, /) -> bytes:
            return bytes(n)

    async with bench("rate:10") as b:
        b.gemini._random = Always()
        assert (await b.refused(Postponed)).delay == timedelta(seconds=11)


async def test_a_used_up_budget_waits_for_the_next_day() -> None:
    async with bench(daily_tokens=2000) as b:
        assert await b.gemini.used_up() is None
        for _ in range(2):
            await b.gemini.count(read(await b.ask()).usage)
        error = await b.refused(Postponed)
        assert error.delay == timedelta(hours=12) and "GEMINI_DAILY_TOKENS=2000" in str(error)
        assert await b.gemini.used_up() == "2500 of GEMINI_DAILY_TOKENS=2000 are used"
        await b.clock.advance(12 * 3600)
        assert await b.gemini.used_up() is None
        await b.ask()
        assert (b.purse.days, len(b.stand_in.asked)) == ({NOON.date(): 2500}, 3)
