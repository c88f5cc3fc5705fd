"""The overview: what runs, waits and failed, what is wrong, what was spent."""

from datetime import timedelta
from typing import Any

from secondunit.daemon.monitoring.conditions import Condition
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.handlers.tools.gemini.client import TokensUsed
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.queue.outcome import Failed, JobError


def tiles(page: Any) -> dict[str, str]:
    names, values = [[tag.text.strip() for tag in page.all(name)] for name in ("dt", "dd")]
    return dict(zip(names, values, strict=True))


async def test_it_counts_what_runs_waits_and_ended(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    for outcome in (None, Failed(JobError("deterministic", "Broken", "x"))):
        job_id = await harness.submit("idle")
        await (harness.settle(job_id, outcome) if outcome else harness.settle(job_id))
    await harness.start(await harness.submit("clip", {"inputPath": "/a"}))
    await harness.submit("idle")
    await harness.clock.advance(60)
    page = await browser.open("/")
    told = tiles(page)
    assert (told["Running"], told["Queued"][:1], told["Completed"][:1]) == ("1", "1", "1")
    assert told["Failed"] == "150.0 %"
    [since] = [tag.attributes["datetime"] for tag in page.all("time") if "data-ago" in tag.attributes]
    assert since.endswith("Z")
    links = {tag.attributes["href"]: tag.text for tag in page.all("a") if "status:" in tag.attributes["href"]}
    assert links == {f"/jobs?q=type:idle+status:{one}": "1" for one in ("queued", "completed", "failed")}


async def test_what_is_wrong_is_told_with_since_when_and_what_to_do(visit: Any) -> None:
    english, chinese = await visit("en"), await visit("zh-TW")
    for browser, remedy, note in (
        (english, "free some space", "nothing is polled"),
        (chinese, "騰出空間", "不會輪詢後端"),
    ):
        since = browser.harness.clock.now() - timedelta(hours=1)
        wrong = [Condition("disk_low", "3 MiB are free", since, "free some space")]
        browser.harness.health = HealthReport("degraded", conditions=wrong, notes=["nothing is polled"])
        page = await browser.open("/")
        assert page.says("3 MiB are free") and page.says(remedy) and page.says(note)
    chinese.harness.health = HealthReport("ok")
    assert (await chinese.open("/")).says("一切正常。")


async def test_what_was_spent_today_is_an_estimate_and_another_day_begins_at_nothing(visit: Any) -> None:
    browser = await visit()
    assert "Spent today" not in tiles(await browser.open("/"))
    browser.harness.spending(TokensUsed(Usage(prompt=1_000_000, output=100_000), "gemini-2.5-flash"))
    assert tiles(await browser.open("/"))["Spent today"].startswith("$0.5500")
    await browser.harness.clock.advance(86_400)
    assert "Spent today" not in tiles(await browser.open("/"))


async def test_a_window_is_chosen_and_any_other_word_is_the_usual_one(visit: Any) -> None:
    browser = await visit()
    for asked, shown in (("7d", "7 days"), ("x", "1 hour"), ("", "1 hour")):
        page = await browser.open(f"/?window={asked}")
        assert [tag.text for tag in page.tags if tag.attributes.get("aria-current") == "true"] == [shown]
        assert page.all("a", href=f"/api/stats?window={'7d' if asked == '7d' else '1h'}")
