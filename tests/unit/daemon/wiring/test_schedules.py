"""Schedules of the file over the job types: their jobs are what POST /api/jobs takes, every fault is named at once."""

from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.config.job_types import BrokenJobType, DiscoveredJobTypes
from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.wiring.schedules import check_job_types, schedules_of
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.testing.rig import spec


async def never(ctx: Any, payload: Any) -> None:
    raise AssertionError


def refuse(_: Any) -> None:
    raise BadPayload(FieldError("n", "the file is not there yet"))


TYPES = DiscoveredJobTypes([spec("idle", never, check=refuse)], (), {})


def settings(*jobs: Any) -> Settings:
    tables = [{"name": f"s{n}", "cron": "0 3 * * *", "job": job} for n, job in enumerate(jobs)]
    return Settings.model_validate({"data_dir": Path("data"), "schedule": tables})


def faults(*jobs: Any) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        schedules_of(settings(*jobs), TYPES)
    return [fault.partition(": ")[0] for fault in caught.value.faults]


def test_a_job_is_written_as_it_is_submitted() -> None:
    job = {
        "type": "idle", "payload": {"n": 1}, "priority": 4, "timeoutSeconds": 9.0, "retryPolicy": {"maxRetries": 0},
        "callback": "https://example.com/done",
    }  # fmt: skip
    [schedule] = schedules_of(settings(job), TYPES)
    asked = schedule.submission
    assert (asked.type, asked.payload, asked.priority) == ("idle", {"n": 1}, 4)
    assert asked.target is not None and asked.retry is not None and asked.timeout is not None
    assert (asked.target.address, asked.retry.max_retries, asked.timeout.total_seconds()) == (job["callback"], 0, 9)


def test_every_fault_of_the_jobs_is_named_at_once() -> None:
    assert faults(
        {"type": "idle", "payload": {"m": 1, "n": "x"}},
        {"type": "idel", "payload": {}},
        {"payload": {}, "typ": "idle"},
        {"type": "idle", "payload": {}, "priority": 9},
        {"type": "idle", "payload": {}, "runAt": "2030-01-01T00:00:00Z"},
        {"type": "idle", "payload": {}, "dependsOn": ["job_a"]},
        {"type": "idle", "payload": {"n": float("inf")}},
        {"type": "idle", "payload": {}, "callback": "http://127.0.0.1/"},
        {"type": "idle", "payload": {"n": {"$from": "job_a", "path": "n"}}},
    ) == [
        "schedule.s0.job.payload.n",
        "schedule.s0.job.payload.m",
        "schedule.s1.job.type",
        "schedule.s2.job.type",
        "schedule.s2.job.typ",
        "schedule.s3.job.priority",
        "schedule.s4.job.runAt",
        "schedule.s5.job.dependsOn",
        "schedule.s6.job.payload",
        "schedule.s6.job.payload.n",
        "schedule.s7.job.callback",
        "schedule.s8.job.payload.n",
        "schedule.s8.job.payload.n",
    ]


def test_while_a_plugin_is_broken_a_type_that_is_not_known_may_be_its() -> None:
    broken = DiscoveredJobTypes(TYPES.specs, [BrokenJobType("a module", "ImportError")], {})
    [schedule] = schedules_of(settings({"type": "theirs", "payload": {"any": 1}}), broken)
    assert schedule.submission.type == "theirs"


def test_jobs_of_our_own_types_are_judged_without_a_daemon() -> None:
    check_job_types(settings({"type": "webp", "payload": {"inputPath": "/m/a.png", "outputPath": "/m/a.webp"}}))
    with pytest.raises(BadConfig) as caught:
        check_job_types(settings({"type": "webp", "payload": {"inputPath": "/m/a.png", "outputpath": "/m/a.webp"}}))
    assert any("schedule.s0.job.payload.outputpath" in fault for fault in caught.value.faults)


def test_what_types_names_is_judged_without_a_daemon() -> None:
    check_job_types(Settings.model_validate({"types": ["webp", "hls"]}))
    with pytest.raises(BadConfig, match=r"TYPES: 'nosuch' is no job type; allowed: analyze, .*, webp"):
        check_job_types(Settings.model_validate({"types": ["webp", "nosuch"]}))


@pytest.mark.parametrize(("url", "taken"), [(None, False), ("postgresql://h/db", True)])
def test_a_schedule_may_name_a_type_that_other_boxes_run(url: str | None, *, taken: bool) -> None:
    idle = TYPES.specs[0]
    found = DiscoveredJobTypes([], (), {"idle": idle})
    here = settings({"type": "idle", "payload": {"n": 1}}).model_copy(update={"queue_url": url})
    if taken:
        assert [one.submission.type for one in schedules_of(here, found)] == ["idle"]
    else:
        with pytest.raises(BadConfig, match=r"schedule\.s0\.job\.type"):
            schedules_of(here, found)


def test_a_remote_type_that_is_called_as_one_of_ours_is_found_without_a_daemon() -> None:
    with pytest.raises(BadConfig, match=r"remote_types.webp: .* defines this job type; allowed: a name of its own"):
        check_job_types(Settings.model_validate({"remote_types": {"webp": {"schema": {}}}}))


def test_settings_of_types_that_there_are_not_are_warned_of_without_a_daemon() -> None:
    assert check_job_types(Settings.model_validate({"remote_types": {"ocr": {"schema": {}}}})) == []
    [warning] = check_job_types(Settings.model_validate({"concurrency": {"hsl": 2}}))
    assert warning == "CONCURRENCY_HSL: no such job type; CONCURRENCY_HLS, perhaps?"
