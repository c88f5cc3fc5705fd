from datetime import datetime, timedelta
from math import isnan
from pathlib import Path

from secondunit.daemon.automation.polls import Polled
from secondunit.daemon.files.backups import Copy
from secondunit.daemon.monitoring.prometheus.exposition import Standing
from secondunit.queue.model import Counts
from tests.unit.daemon.monitoring.prometheus.subject import NOTHING, NOW, Subject


async def test_the_queue_is_asked_at_each_scrape() -> None:
    subject = Subject(Counts({"hls": 3}, {"hls": 1}, {}, NOW - timedelta(seconds=90)))
    values = await subject.scraped()
    assert values['secondunit_jobs_queued{type="hls"}'] == 3 and values['secondunit_jobs_running{type="hls"}'] == 1
    assert values["secondunit_queue_oldest_seconds"] == 90
    assert [values[f'secondunit_types_paused{{type="{type}"}}'] for type in ("hls", "webp")] == [0, 1]
    subject.store.now = NOTHING
    assert (await subject.scraped())['secondunit_jobs_queued{type="hls"}'] == 0


async def test_a_budget_shows_what_is_used_of_it_and_without_one_nothing_does() -> None:
    subject = Subject()
    assert not any("llm_budget" in name for name in await subject.scraped())
    subject.budget = (900, 1000)
    values = await subject.scraped()
    assert values['secondunit_llm_budget_tokens{state="used"}'] == 900
    assert values['secondunit_llm_budget_tokens{state="limit"}'] == 1000


async def test_a_queue_that_can_not_be_read_is_missing_and_the_rest_is_scraped() -> None:
    subject = Subject(Counts({"hls": 3}, {"hls": 1}, {}, NOW))
    await subject.scraped()
    subject.hear(Polled("ok"))
    subject.store.broken = True
    values = await subject.scraped()
    assert values['secondunit_poll_total{outcome="ok"}'] == 1 and isnan(values["secondunit_queue_oldest_seconds"])
    assert not any(name.startswith(("secondunit_jobs_queued", "secondunit_jobs_running")) for name in values)


async def test_what_stands_around_the_queue_is_asked_at_each_scrape() -> None:
    subject = Subject()
    values = await subject.scraped()
    assert values['secondunit_deliveries_undelivered{state="dead"}'] == 2
    assert values['secondunit_deliveries_undelivered{state="pending"}'] == 0
    assert values["secondunit_writer_queue_length"] == 3
    assert isnan(values["secondunit_backup_age_seconds"]) and isnan(
        values["secondunit_poll_last_success_timestamp_seconds"]
    )


async def test_a_standing_daemon_shows_its_slots_disks_lanes_sandbox_backup_and_last_poll() -> None:
    polls: list[datetime | None] = [None, NOW]
    backups = [None, Copy(Path("/b/q.db"), NOW - timedelta(hours=2), NOW)]

    async def backup() -> Copy | None:
        return backups.pop(0)

    subject = Subject(
        standing=Standing(
            slots={"hls": 2, "webp": 3},
            info={"version": "1", "mode": "active"},
            sandbox={"landlock": True, "whole": False},
            disks=lambda: {"data": 5, "/media": 7},
            lanes=lambda: {"working": 2, "down": 1},
            polled=lambda: polls.pop(0),
            backup=backup,
        )
    )
    values = await subject.scraped()
    assert [values[f'secondunit_job_slots{{type="{type}"}}'] for type in ("hls", "webp")] == [2, 7]
    assert values['secondunit_info{mode="active",version="1"}'] == 1
    assert values['secondunit_sandbox{layer="landlock"}'] == 1 and values['secondunit_sandbox{layer="whole"}'] == 0
    assert values['secondunit_disk_free_bytes{disk="/media"}'] == 7
    assert values['secondunit_delivery_lanes{state="down"}'] == 1
    assert values["secondunit_poll_last_success_timestamp_seconds"] == 0
    assert isnan(values["secondunit_backup_age_seconds"]) and values["secondunit_backup_verified"] == 0
    values = await subject.scraped()
    assert values["secondunit_poll_last_success_timestamp_seconds"] == NOW.timestamp()
    assert values["secondunit_backup_age_seconds"] == 7200 and values["secondunit_backup_verified"] == 1
