"""Which failures are one group, and what is told of it."""

import pytest

from secondunit.queue.outcome import JobError
from secondunit.queue.sight.fingerprint import MOST_JOBS, grouped, masked
from secondunit.queue.sight.port import Failure
from secondunit.testing.jobs import later


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("no such file: /srv/media/in/film-12.mp4", "no such file: <path>"),
        ("can't read '/srv/a film 3.mp4': gone", "can't read '<path>': gone"),
        ("https://a.org/x?y=1 answered 503 after 1.5 s", "<url> answered <n> after <n> s"),
        ("s3://bucket/key is gone", "<url> is gone"),
        ("stalled at 00:01:02.345 on 2026-01-22T12:00:00.123Z", "stalled at <time> on <time>"),
        ("job_" + "a2" * 13 + " of 123e4567-e89b-12d3-a456-426614174000", "<id> of <id>"),
        ("digest deadbeef01 differs, not deadbeef", "digest <id> differs, not deadbeef"),
        ("frame 7 of 1200: 43 %", "frame <n> of <n>: <n> %"),
        ("and/or   nothing", "and/or nothing"),
    ],
)
def test_what_differs_from_one_to_the_next_is_masked(message: str, kind: str) -> None:
    assert masked(message) == kind


def failure(n: int, message: str, type: str = "hls") -> Failure:
    return Failure(f"j{n}", type, JobError("deterministic", "broken", message), later(n))


def test_failures_that_differ_in_what_is_masked_are_one_group() -> None:
    failures = [failure(9 - n, f"frame {n} of /in/{n}.mp4 is broken") for n in range(3)]
    [group] = grouped(failures)
    assert (group.count, group.first_at, group.last_at) == (3, later(7), later(9))
    assert group.error.message == "frame 0 of /in/0.mp4 is broken" and list(group.job_ids) == ["j9", "j8", "j7"]
    assert len(group.fingerprint) == 12 and grouped(failures[:1])[0].fingerprint == group.fingerprint


def test_another_type_or_message_is_another_group_and_the_largest_comes_first() -> None:
    failures = [failure(5, "a"), failure(4, "b"), failure(3, "b"), failure(2, "b", "webp")]
    found = [(group.type, group.error.message, group.count) for group in grouped(failures)]
    assert found[0] == ("hls", "b", 2) and len(found) == 3


def test_no_more_than_twenty_jobs_of_a_group_are_named() -> None:
    [group] = grouped([failure(99 - n, "x") for n in range(30)])
    assert (group.count, len(group.job_ids)) == (30, MOST_JOBS)
