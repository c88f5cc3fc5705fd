"""What is decided of schedules: which runs are due, missed, skipped; what an end makes of one."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from secondunit.daemon.automation import schedule_rules as rules
from secondunit.daemon.automation.schedule_rules import MOST_OPEN, Schedule
from secondunit.daemon.cron import Cron
from secondunit.queue.model import Job, Status, Submission
from secondunit.queue.outcome import JobError
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.value import replace

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
MONDAY = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def schedule(cron: str = "0 3 * * *", zone: ZoneInfo = UTC_ZONE, **fields: Any) -> Schedule:
    return Schedule("nightly", Cron(cron, zone), Submission("idle", {}), **fields)


def state(since: datetime = NOW, **fields: Any) -> ScheduleState:
    return ScheduleState("nightly", "0 3 * * *", "UTC", since, **fields)


def job(id: str, status: Status, minutes: float = 0) -> Job:
    ended = NOW + timedelta(minutes=minutes) if status.ended else None
    error = JobError("transient", "flaky", f"{id} broke") if status is Status.FAILED else None
    return Job(
        type="idle", payload={}, id=id, status=status, priority=2, retry=RetryPolicy(), created_at=NOW, updated_at=NOW,
        finished_at=ended, error=error,
    )  # fmt: skip


def test_what_comes_on_time_is_run_whatever_becomes_of_what_is_missed() -> None:
    for missed in ("skip", "once", "all"):
        for late in (0, 59.9):
            now = MONDAY + timedelta(seconds=late)
            found = rules.decided(schedule(missed=missed), state(MONDAY - HOUR), now)
            assert found is not None and (list(found.runs), found.since, found.missed) == ([MONDAY], MONDAY, 0)
        assert rules.decided(schedule(missed=missed), state(MONDAY - HOUR), MONDAY - timedelta(seconds=0.1)) is None
        assert rules.decided(schedule(missed=missed), state(MONDAY), MONDAY + timedelta(hours=23)) is None


@pytest.mark.parametrize(("missed", "runs", "left_out"), [("skip", 0, 7), ("once", 1, 6), ("all", 7, 0)])
def test_after_a_week_off_each_policy_does_what_it_says(missed: Any, runs: int, left_out: int) -> None:
    found = rules.decided(schedule(missed=missed), state(NOW - WEEK), NOW)
    nights = [NOW.replace(hour=3) - timedelta(days=n) for n in range(6, -1, -1)]
    assert found is not None and found.since == nights[-1]
    assert (list(found.runs), found.missed) == (nights[7 - runs :], left_out)
    assert (found.why is not None and "7 runs, from 2026-11-22T03:00:00" in found.why) == (missed == "skip")


def test_what_comes_as_the_daemon_is_back_is_on_time_though_others_were_missed() -> None:
    found = rules.decided(schedule("0 * * * *", missed="skip"), state(NOW - WEEK), NOW + timedelta(seconds=20))
    assert found is not None and (list(found.runs), found.missed, found.more) == ([NOW], 100, True)


def test_of_half_a_million_missed_runs_the_newest_hundred_are_caught_up_on() -> None:
    found = rules.decided(schedule("* * * * *", missed="all"), state(NOW - timedelta(days=365)), NOW)
    assert found is not None and (len(found.runs), found.runs[0]) == (100, NOW - timedelta(minutes=99))
    assert (found.missed, found.more) == (1, True), "that there were older ones is told"
    hundred = rules.decided(schedule("* * * * *", missed="all"), state(NOW - timedelta(minutes=100)), NOW)
    assert hundred is not None and (len(hundred.runs), hundred.missed, hundred.more) == (100, 0, False)
    rare = rules.decided(schedule("0 * * * *", missed="skip"), state(NOW - WEEK), NOW + timedelta(minutes=30))
    assert rare is not None and rare.why is not None and "101 runs or more, the newest from 2026-11-" in rare.why
    assert rules.decided(schedule("* * * * *", missed="all"), state(found.since), NOW) is None


def test_a_week_off_over_a_clock_change_has_each_night_once() -> None:
    for first, hours in ((datetime(2026, 3, 25, tzinfo=UTC), (1, 1, 1, 1, 1, 0, 0)),
                         (datetime(2026, 10, 21, tzinfo=UTC), (0, 0, 0, 0, 0, 1, 1))):  # fmt: skip
        days = schedule("30 2 * * *", BERLIN, missed="all")
        found = rules.decided(days, state(first - HOUR), first + WEEK - HOUR)
        assert found is not None and len(found.runs) == 7
        assert tuple(at.hour for at in found.runs) == hours


def test_an_earlier_job_that_is_not_done_is_waited_for_joined_or_cancelled() -> None:
    before = state(MONDAY - HOUR, open_jobs=["job_a"])
    skip, queue, cancel = (
        rules.decided(schedule(overlap=word), before, MONDAY) for word in ("skip", "queue", "cancel")
    )
    assert skip is not None and (skip.runs, skip.skipped, skip.cancels, skip.since) == ((), True, (), MONDAY)
    assert skip.why == "the run of 2026-11-23T03:00:00.000Z was skipped, since job_a of an earlier run was not done"
    assert queue is not None and (list(queue.runs), queue.skipped, queue.cancels) == ([MONDAY], False, ())
    assert cancel is not None and (list(cancel.runs), list(cancel.cancels)) == ([MONDAY], ["job_a"])


def test_what_is_queued_behind_each_other_has_a_bound() -> None:
    full = state(MONDAY - HOUR, open_jobs=[f"job_{n}" for n in range(MOST_OPEN)])
    found = rules.decided(schedule(overlap="queue"), full, MONDAY)
    assert found is not None and found.skipped
    almost = replace(full, open_jobs=full.open_jobs[1:])
    found = rules.decided(schedule(overlap="queue"), almost, MONDAY)
    assert found is not None and found.runs


def test_a_clock_that_is_set_back_and_forth_brings_no_run_twice() -> None:
    hourly, at = schedule("0 * * * *", missed="all"), state(NOW - timedelta(minutes=30))
    runs: list[datetime] = []
    for minutes in (0, 30, -45, -10, 0, 20, 61, -200, 59, 60, 61, 125, 120, 180):
        found = rules.decided(hourly, at, NOW + timedelta(minutes=minutes))
        if found:
            runs += found.runs
            at = rules.moved(at, found, NOW)
    assert runs == [NOW + n * HOUR for n in range(4)]


def test_a_new_schedule_and_one_that_comes_at_other_times_count_from_now() -> None:
    assert rules.begun(schedule(), None, NOW) == state(NOW)
    kept = state(NOW - WEEK, paused=True, why="why", failures=2, last_job="job_a", open_jobs=["job_a"])
    assert rules.begun(schedule(missed="all"), kept, NOW) is kept
    assert rules.begun(schedule("0 4 * * *"), kept, NOW) == replace(kept, since=NOW, cron="0 4 * * *")
    assert rules.begun(schedule(zone=BERLIN), kept, NOW) == replace(kept, since=NOW, timezone="Europe/Berlin")


def test_it_comes_next_after_what_is_dealt_with_and_not_while_it_is_paused() -> None:
    assert rules.next_at(schedule(), state(MONDAY)) == MONDAY + timedelta(days=1)
    paused = rules.paused(state(MONDAY))
    assert (rules.next_at(schedule(), paused), paused.why) == (None, "paused by hand")
    assert rules.decided(schedule(), paused, NOW) is None


def test_failures_in_a_row_are_counted_in_the_order_of_their_ends() -> None:
    jobs = ["job_a", "job_b", "job_c", "job_d", "job_e", "job_f"]
    before = state(failures=1, open_jobs=jobs, last_job="job_f")
    found = [
        job("job_a", Status.FAILED, 5),
        job("job_b", Status.PARTIAL, 2),
        job("job_c", Status.FAILED, 1),
        job("job_d", Status.CANCELLED, 6),
        job("job_f", Status.RUNNING),
    ]
    after = rules.settled(schedule(pause_after=3), before, found)
    assert (after.failures, list(after.open_jobs), after.last_status, after.paused) == (1, ["job_f"], None, False)
    assert after.why == "job_a failed: job_a broke"
    done = rules.settled(schedule(), after, [job("job_f", Status.COMPLETED)])
    assert (done.failures, done.why, done.last_status, list(done.open_jobs)) == (0, None, "completed", [])


def test_it_pauses_itself_after_so_many_failures_in_a_row_and_says_why() -> None:
    before = state(failures=1, open_jobs=["job_a"])
    for after_so_many, paused in ((0, False), (1, True), (2, True), (3, False)):
        after = rules.settled(schedule(pause_after=after_so_many), before, [job("job_a", Status.FAILED)])
        assert (after.paused, after.failures, bool(rules.stopped(after, NOW))) == (paused, 2, paused)
    after = rules.settled(schedule(pause_after=2), before, [job("job_a", Status.FAILED)])
    assert after.why == "paused, since 2 runs in a row failed; the last: job_a failed: job_a broke"


def test_a_pause_by_hand_keeps_its_reason_and_one_by_failures_too() -> None:
    by_hand = rules.paused(state(failures=1, open_jobs=["job_a"]))
    after = rules.settled(schedule(pause_after=1), by_hand, [job("job_a", Status.FAILED)])
    assert (after.paused, after.why, after.failures, rules.stopped(after, NOW)) == (True, "paused by hand", 2, None)
    by_itself = rules.settled(schedule(pause_after=1), state(open_jobs=["job_a"]), [job("job_a", Status.FAILED)])
    assert rules.paused(by_itself) == by_itself
    assert rules.run(by_itself, NOW).why == by_itself.why


def test_a_run_that_the_queue_refuses_counts_as_failed() -> None:
    found = rules.decided(schedule(pause_after=2), state(MONDAY - HOUR, failures=1), MONDAY)
    assert found is not None
    after = rules.refused(schedule(pause_after=2), state(MONDAY - HOUR, failures=1), found, "no such file")
    assert (after.since, after.failures, after.paused) == (MONDAY, 2, True)
    assert after.why is not None and "the run of 2026-11-23T03:00:00.000Z was refused: no such file" in after.why


def test_what_is_resumed_counts_from_now_and_its_failures_from_nothing() -> None:
    paused = state(NOW - WEEK, paused=True, why="why", failures=5, open_jobs=["job_a"])
    assert rules.resumed(paused, NOW) == state(NOW, open_jobs=["job_a"])
    assert rules.resumed(state(NOW + WEEK), NOW) == state(NOW), "a wrong clock had led it there"
    waiting = state(NOW - HOUR, failures=1)
    assert rules.resumed(waiting, NOW) == replace(waiting, failures=0), "what is due just now is not lost"


def test_a_run_is_known_by_its_schedule_and_its_time_whatever_its_job_is() -> None:
    [first] = rules.submissions(schedule(), [MONDAY])
    [other] = rules.submissions(replace_job(schedule(), {"n": 1}), [MONDAY])
    [later] = rules.submissions(schedule(), [MONDAY + HOUR])
    assert first.idempotency == other.idempotency != later.idempotency
    assert first.idempotency is not None and first.idempotency.key == "schedule nightly 2026-11-23T03:00:00.000Z"
    assert (first.source, first.submitted_by, first.labels) == (
        "schedule", "schedule nightly", {"schedule": "nightly"},
    )  # fmt: skip
    assert rules.by_hand(schedule()).idempotency is None


def replace_job(of: Schedule, payload: dict[str, Any]) -> Schedule:
    return Schedule(of.name, of.cron, Submission("idle", payload))
