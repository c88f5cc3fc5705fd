"""Why a job is where it is: a test for each reason, with its sentence and figures."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.model import Job, Status, Suspicion
from secondunit.queue.outcome import Completed, Outcome, Partial, Postpone
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.sight.explain import MOST_NAMED, Explanation, explain
from secondunit.queue.sight.port import Line
from secondunit.queue.sight.room import Load
from secondunit.queue.sight.seen import Seen
from secondunit.queue.value import replace
from secondunit.testing.jobs import BOOT, BROKEN, FLAKY, NOW, TTL, later, new, settled

FREE = Load({"hls": 1, "webp": 3}, {}, 0, 5)
BUSY = Load({"hls": 1, "webp": 3}, {"hls": 1}, 1, 5)


def queued(job_id: str = "j", **fields: Any) -> Job:
    return replace(new(job_id, **fields).job, seq=9)


def running(job_id: str = "r", progress: float = 0.43, type: str = "hls", **fields: Any) -> Job:
    return replace(state.start(new(job_id, type=type).job, BOOT, TTL, NOW).job, progress=progress, **fields)


def after(outcome: Outcome, at: float = 1) -> Job:
    return settled(outcome, later(at))(running("j")).job


def suspect(job_id: str, entered: float = 0, status: Status = Status.QUEUED, type: str = "hls") -> Job:
    suspicion = Suspicion("old", 1, 0.5, timedelta(0), later(entered))
    return replace(queued(job_id, type=type), status=status, suspicion=suspicion)


def told(job: Job, load: Load = FREE, **fields: Any) -> Explanation:
    return explain(job, Seen(fields.pop("now", NOW), load, **fields))


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (Completed(1), "it completed at 2030-01-01T00:00:01Z after 1 s"),
        (Partial(1, ["x"]), "it completed in part at 2030-01-01T00:00:01Z after 1 s"),
        (BROKEN, "it failed at 2030-01-01T00:00:01Z after 1 s: it is broken"),
    ],
)
def test_an_ended_job_says_how_it_ended(outcome: Outcome, sentence: str) -> None:
    assert told(after(outcome)) == Explanation("ended", sentence)


def test_a_cancelled_job_that_never_ran_says_when_it_was_cancelled() -> None:
    assert told(state.cancel(queued(), later(2)).job) == Explanation(
        "ended", "it was cancelled at 2030-01-01T00:00:02Z"
    )


def test_a_running_job_says_since_when_and_how_far_it_is() -> None:
    job = running(phase="encode")
    assert told(job).sentence == "it runs since 2030-01-01T00:00:00Z, attempt 1 of 4, 43 % done (encode)"
    assert told(replace(job, cancel_requested=True)).sentence.endswith("; it was cancelled and is being stopped")
    assert told(job).reason == "running"


def test_a_busy_slot_is_told_with_those_ahead_and_how_far_the_one_that_runs_is() -> None:
    line = Line({"hls": 2}, 0, ["a", "b"])
    assert told(queued(), BUSY, running=[running()], line=line) == Explanation(
        "slot",
        "2 hls jobs are ahead and 1 of 1 slots is busy; the one that runs is 43 % done",
        None,
        2,
        ["r", "a", "b"],
    )
    first = told(queued(), BUSY, running=[running()])
    assert first.sentence == "it is the next hls job and 1 of 1 slots is busy; the one that runs is 43 % done"
    assert first.ahead == 0 and not first.starts


HOME = BoxRow("b2", "b2/1", "http://10.0.0.2:8000", "1.0", {}, 5, timedelta(seconds=30), NOW)
REMEDY = "start its daemon again (BOX=b2), or cancel the job and submit it where its input is"
ITS_INPUT = "its input is a local file of the box b2, so it runs only there; "


@pytest.mark.parametrize(
    ("home", "at", "sentence"),
    [
        (HOME, 1, "that box is up, and http://10.0.0.2:8000 tells its place in the line"),
        (replace(HOME, drained=True), 1, "that box starts nothing more for now"),
        (
            HOME,
            99,
            f"that box is gone, last seen at 2030-01-01T00:00:00Z: {REMEDY}",
        ),
        (
            None,
            1,
            f"that box was not seen yet: {REMEDY}",
        ),
    ],
)
def test_a_job_whose_input_lies_on_another_box_waits_for_it(home: BoxRow | None, at: float, sentence: str) -> None:
    found = told(queued(box="b2"), now=later(at), elsewhere=True, home=home)
    assert found == Explanation("box", ITS_INPUT + sentence)


def test_a_limit_over_all_boxes_is_told_where_it_is_what_is_full() -> None:
    other = running("o", 0.8)
    load = Load({"hls": 2}, {"hls": 1}, 1, 5)
    found = told(queued(), load, running=[running()], beyond=[other], overall={"hls": 2})
    assert found == Explanation(
        "slot",
        "it is the next hls job and 2 of 2 slots over all boxes are busy; the furthest of the 2 that run is 80 % done",
        None,
        0,
        ["r", "o"],
    )
    assert told(queued(), load, running=[running()], beyond=[other], overall={"hls": 3}).starts
    busy = told(queued(), BUSY, running=[running()], beyond=[other], overall={"hls": 2})
    assert "1 of 1 slots is busy" in busy.sentence, "here's own limit is full, too"


def test_of_several_that_run_the_furthest_is_told() -> None:
    load = Load({"hls": 2}, {"hls": 2}, 2, 5)
    found = told(queued(), load, running=[running("r"), running("s", 0.8)], line=Line({"hls": 1}, 0, ["a"]))
    assert found.sentence == "1 hls job is ahead and 2 of 2 slots are busy; the furthest of the 2 that run is 80 % done"


def test_the_slots_over_all_types_are_told_where_these_are_what_is_missing() -> None:
    load = Load({"hls": 1, "webp": 3}, {"webp": 2}, 2, 2)
    both = [running("r", 0.1, "webp"), running("s", 0.6, "webp")]
    found = told(queued(), load, running=both, line=Line({"webp": 9}, 0, ["w"]))
    assert found.sentence == (
        "3 jobs are ahead and 2 of 2 slots over all types are busy; the furthest of the 2 that run is 60 % done"
    ), "of nine webp jobs three may run at once"
    assert (found.ahead, found.blocked_by) == (3, ["r", "s", "w"])


def test_a_free_slot_means_that_the_next_claim_takes_it() -> None:
    assert told(queued()) == Explanation(
        "slot", "a slot is free and it is the next: it starts in a moment", None, 0, starts=True
    )
    found = told(queued(), line=Line({"webp": 7}, 0, ["w"]))
    assert (found.sentence, found.ahead) == ("a slot is free and 3 are before it: it starts in a moment", 3)


def test_what_will_put_it_back_at_once_is_told_beforehand() -> None:
    assert "may be put back at once: gemini_down: no" in told(queued(), trouble="gemini_down: no").sentence
    assert "may be put back at once: 9 of 9" in told(queued(), used_up="9 of 9 are used").sentence


def test_jobs_that_overtook_it_make_it_a_matter_of_priority() -> None:
    found = told(queued(priority=3), BUSY, running=[running()], line=Line({"hls": 3}, 2, ["a", "b", "c"]))
    assert (found.reason, found.ahead) == ("priority", 3)
    assert found.sentence == (
        "3 hls jobs are ahead, 2 of them submitted later, with a higher priority than its 3;"
        " 1 of 1 slots is busy; the one that runs is 43 % done"
    )


def test_a_failed_attempt_waits_for_the_next() -> None:
    found = told(after(FLAKY), now=later(1))
    assert (found.reason, found.until) == ("backoff", later(2))
    assert found.sentence == "attempt 1 of 4 failed (try again); it may start at 2030-01-01T00:00:02Z, in 1 s"


def test_a_job_for_later_says_when() -> None:
    found = told(queued(run_at=later(7200)))
    assert (found.reason, found.until) == ("scheduled", later(7200))
    assert found.sentence == "it was submitted for later: it may start at 2030-01-01T02:00:00Z, in 2 h"
    assert told(queued(run_at=later(7200)), now=later(7200)).starts


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("gemini_down: no answer", "provider"),
        ("rate_limited: Gemini asks for a pause", "provider"),
        ("geocoder_limited: the geocoder asks for a pause of 9 s", "provider"),
        ("host_paused: example.org is left alone for a while", "provider"),
        ("budget_used_up: 9 of GEMINI_DAILY_TOKENS=9 are used", "budget"),
        ("quota_exhausted: Gemini's daily quota is used up", "budget"),
        ("disk_full: on the disk of film.mp4 3 MiB are free", "disk"),
        ("source_changed: film.mp4 is still being written", "backoff"),
    ],
)
def test_a_postponed_job_names_what_it_was_postponed_for(why: str, reason: str) -> None:
    found = told(after(Postpone(timedelta(seconds=600), why)), now=later(1), trouble="down", used_up="used")
    assert (found.reason, found.until) == (reason, later(601))
    assert found.sentence == f"{why}; it may start at 2030-01-01T00:10:01Z, in 10 min"


def test_what_waits_for_room_on_a_disk_is_told_no_time() -> None:
    found = told(after(Postpone(timedelta(hours=1), "no_room: hls reserves 8 GiB, 1 GiB are free")), now=later(1))
    assert (found.reason, found.until) == ("disk", None)
    assert found.sentence == "no_room: hls reserves 8 GiB, 1 GiB are free; it starts within seconds of there being room"


def test_a_way_that_is_free_again_is_told() -> None:
    gate = told(after(Postpone(timedelta(seconds=600), "gemini_down: no")), now=later(1))
    assert "the way is free again, but it waits for its time" in gate.sentence
    budget = told(after(Postpone(timedelta(seconds=600), "budget_used_up: 9 of 9")), now=later(1))
    assert "the budget has room again, but it waits for its time" in budget.sentence


def test_a_paused_type_says_how_it_is_resumed() -> None:
    found = told(queued(run_at=later(9)), paused=frozenset({"hls"}))
    assert found == Explanation("paused", "the type hls is paused; `secondunit jobs resume hls` lets its jobs start")


def test_a_type_that_is_not_served_says_which_are() -> None:
    found = told(queued(type="gone"), paused=frozenset({"gone"}))
    assert (found.reason, found.sentence) == (
        "unknown_type",
        "this daemon does not serve the type gone; it serves hls, webp",
    )


def test_a_daemon_that_stops_starts_nothing() -> None:
    found = told(queued(), replace(BUSY, draining=True))
    assert (found.reason, found.sentence) == (
        "draining",
        "the daemon is shutting down and starts nothing; 1 job still runs, this one starts after",
    )


def test_a_full_disk_of_the_database_lets_nothing_start() -> None:
    found = told(queued(), replace(FREE, full=True), disk="3 MiB are free")
    assert (found.reason, found.sentence) == (
        "store_full",
        "the disk of the database is full (3 MiB are free); nothing starts until there is room",
    )


def test_suspects_start_one_at_a_time() -> None:
    suspects = [suspect("a", 5), suspect("b", 1)]
    assert told(suspects[0], suspects=suspects).starts
    second = told(suspects[1], suspects=suspects)
    assert (second.reason, second.ahead, second.blocked_by, second.starts) == ("slot", 1, ["a"], False)
    trial = [suspect("a", 5, Status.RUNNING), suspect("b", 1)]
    found = told(trial[1], BUSY, suspects=trial)
    assert "one of them runs now and 0 are before it" in found.sentence and found.blocked_by == ["a"]
    doubt = told(suspects[0], Load({"hls": 1, "new": 1}, {"new": 1}, 1, 5, [("n", "new")]), suspects=suspects)
    assert "once what runs now has ended: 1 job" in doubt.sentence and doubt.blocked_by == ["n"]


def test_beside_a_suspect_only_proven_types_start() -> None:
    suspects = [suspect("a")]
    found = told(queued(type="webp"), suspects=suspects)
    assert (found.reason, found.blocked_by, found.ahead) == ("slot", ["a"], None)
    told_first = "1 job that ran when the daemon died is tried first, on its own"
    assert found.sentence == f"{told_first}; no webp job runs beside it"
    assert told(queued(type="webp"), suspects=suspects, proven=frozenset({"webp"})).starts


def test_a_suspect_that_starts_takes_one_of_all_slots() -> None:
    load = Load({"hls": 1, "webp": 3}, {"webp": 1}, 1, 2)
    found = told(queued(type="webp"), load, suspects=[suspect("a")], proven=frozenset({"webp"}))
    assert (found.reason, found.starts) == ("slot", False)
    assert told(queued(type="webp"), replace(load, most=3), suspects=[suspect("a")], proven=frozenset({"webp"})).starts


def test_jobs_of_a_type_without_a_free_slot_are_not_before_one_of_another() -> None:
    load = Load({"hls": 1, "webp": 3}, {"hls": 1, "webp": 2}, 3, 4)
    found = told(queued(type="webp"), load, line=Line({"hls": 7}, 0, ["h"]))
    assert (found.ahead, found.starts) == (0, True)


def test_no_more_than_twenty_jobs_are_named() -> None:
    line = Line({"hls": 99}, 0, [f"j{n}" for n in range(30)])
    assert len(told(queued(), BUSY, running=[running()], line=line).blocked_by) == MOST_NAMED
