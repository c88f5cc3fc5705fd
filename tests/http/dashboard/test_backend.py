"""The backend: what active mode polled, took on, refused and delivered; or plainly that nothing is polled."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.automation.polls import BackendStatus, Poll, Polling

URL = "https://backend.example"


@pytest.mark.parametrize(("status", "said"), [
    (BackendStatus(), "No backend is configured"),
    (BackendStatus(url=URL), "Passive mode: nothing is polled."),
    (BackendStatus("active", URL, "GEMINI_API_KEY is not set"), "nothing is polled: GEMINI_API_KEY is not set"),
])  # fmt: skip
async def test_where_nothing_is_polled_it_says_so_and_why(visit: Any, status: BackendStatus, said: str) -> None:
    browser = await visit()
    browser.harness.backend = status
    page = await browser.open("/backend")
    assert page.says(said) and not page.all("table") and page.says("secondunit backend")
    found = await browser.harness.call("GET", "/api/backend")
    assert (found["polled"], found["mode"]) == (False, status.mode)
    assert (found["url"], found["idle"]) == (status.url, status.idle)


async def test_it_tells_the_last_polls_what_is_in_hand_and_what_is_left_alone(visit: Any) -> None:
    browser = await visit()
    now, job = browser.harness.clock.now(), await browser.harness.submit()
    soon = now + timedelta(seconds=30)
    browser.harness.backend = BackendStatus(
        "active", URL, None, Polling(now, now, found=4, waiting=1, taken=9), [Poll(now, "ok", 4, 2)],
        soon, quarantined={"odd": soon}, live={job: "analysis-7"}, delivered=6,
    )  # fmt: skip
    page = await browser.open("/backend")
    for said in ("The backend answers", "analysis-7", "odd", "a list", "left alone until"):
        assert page.says(said), said
    assert page.all("a", href=f"/jobs/{job}")
    found = await browser.harness.call("GET", "/api/backend")
    assert found["live"] == [{"analysisId": "analysis-7", "jobId": job}]
    assert found["polls"] == [{"at": "2030-01-01T00:00:00.000Z", "outcome": "ok", "found": 4, "taken": 2, "why": None}]
    assert (found["found"], found["coolingDown"], found["taken"], found["delivered"]) == (4, 1, 9, 6)


@pytest.mark.parametrize(("refused", "title"), [(False, "The backend is down"), (True, "The backend refuses the key")])
async def test_trouble_is_told_with_its_failures_and_when_it_is_asked_again(
    visit: Any, refused: bool, title: str
) -> None:
    browser = await visit()
    now = browser.harness.clock.now()
    polling = Polling(now, None, "503 by the backend", refused, now)
    why = [Poll(now, "refused" if refused else "error", why="503 by the backend")]
    browser.harness.backend = BackendStatus("active", URL, None, polling, why, now, failures=3)
    page = await browser.open("/backend")
    assert page.says(title) and page.says("3 polls in a row without a list") and page.says("503 by the backend")
