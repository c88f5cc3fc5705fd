"""Schedules: when they come, why they are paused, and what is done to them by hand."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.daemon.cron import Cron
from secondunit.queue.model import Submission
from tests.http.keys import API_KEY

ODD = '每晚 "%2F" /?#&;+.'


def schedule(name: str) -> Schedule:
    return Schedule(name, Cron("30 3 * * *", ZoneInfo("Asia/Taipei")), Submission("idle", {}), pause_after=3)


@pytest.fixture
async def browser(visit: Any) -> Any:
    opened = await visit(schedules=[schedule("nightly"), schedule(ODD)])
    await opened.harness.scheduler.start()
    return opened


async def test_the_next_five_runs_are_told_and_the_last_one_links_its_job(browser: Any) -> None:
    page = await browser.open("/schedules")
    assert page.says("30 3 * * *") and page.says("Asia/Taipei")
    times = [tag.attributes["datetime"] for tag in page.all("time")]
    assert times[:5] == [f"2030-01-0{day}T19:30:00.000Z" for day in range(1, 6)] and len(times) == 10
    page = await browser.send("/schedules/act", ("do", "run"), ("name", "nightly"))
    assert page.says("A job of nightly is submitted.")
    [job] = (await browser.harness.call("GET", "/api/jobs"))["jobs"]
    assert job["submittedBy"] == "schedule nightly" and page.all("a", href=f"/jobs/{job['jobId']}")


async def test_a_schedule_is_paused_and_resumed_whatever_it_is_called_and_the_trail_says_so(browser: Any) -> None:
    page = await browser.send("/schedules/act", ("do", "pause"), ("name", ODD))
    assert page.says(f"{ODD} is paused") and page.says("Paused by hand.")
    assert page.says("Would come, if it were not paused")
    page = await browser.send("/schedules/act", ("do", "resume"), ("name", ODD))
    assert page.says("comes again from now on") and not page.says("Paused by hand.")
    await browser.send("/schedules/act", ("do", "run"), ("name", "nightly"))
    trail = [(entry.action, entry.target) for entry in await browser.harness.store.audit.find(None, 9)]
    assert trail == [("schedule run", "nightly"), ("schedule resume", ODD), ("schedule pause", ODD)]


@pytest.mark.parametrize(("fields", "status", "said"), [
    ([("do", "stop"), ("name", "nightly")], 422, "should be run, pause or resume"),
    ([("do", "run"), ("name", "nobody's")], 404, "no schedule is called"),
])  # fmt: skip
async def test_a_wrong_order_is_refused(browser: Any, fields: Any, status: int, said: str) -> None:
    assert (await browser.send("/schedules/act", *fields, status=status)).says(said)


async def test_who_may_only_read_sees_no_button_and_may_press_none(visit: Any) -> None:
    browser = await visit(api_key=API_KEY, schedules=[schedule("nightly")])
    await browser.harness.scheduler.start()
    reader = await browser.harness.key("read", "submit")
    await browser.sign_in(reader["Authorization"].removeprefix("Bearer "))
    page = await browser.open("/schedules")
    assert page.says("nightly") and not page.all("button", value="pause")
    await browser.send("/schedules/act", ("do", "pause"), ("name", "nightly"), status=403)


async def test_where_there_is_none_that_is_said(visit: Any) -> None:
    browser = await visit()
    assert (await browser.open("/schedules")).says("There is no schedule.")
