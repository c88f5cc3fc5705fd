"""What a worker says of a run by what its handler made of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from secondunit.client.errors import Conflict, Forbidden, LeaseLost, NoAnswer, Unauthorized, refusal
from secondunit.client.leases import (
    Partial,
    WorkFailed,
    WorkStopped,
    artifact,
    beat_every,
    ending,
    failing,
    lease_of,
    pause_after,
    step,
    unstorable,
)

TOLD = {
    "token": "lt.a/b", "jobId": "job_a", "type": "ocr", "payload": {"page": 1}, "attempt": 1, "epoch": 2,
    "expiresAt": "2026-01-01T00:00:30.000Z", "steps": {"a": 1},
}  # fmt: skip
LEASE = lease_of(TOLD)


def test_a_lease_is_read_from_its_answer() -> None:
    assert (LEASE.job_id, LEASE.steps) == ("job_a", {"a": 1})
    assert LEASE.expires_at == datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    assert step(LEASE.token, "a b/c", 1).path == "/api/leases/lt.a%2Fb/steps/a%20b%2Fc"
    assert artifact(LEASE.token, "a.bin", b"x").content_type("-") == "application/octet-stream"


@pytest.mark.parametrize(
    ("made", "path", "body"),
    [
        (None, "complete", {"result": None}),
        ({"n": 1}, "complete", {"result": {"n": 1}}),
        (Partial(1, ["b"]), "partial", {"result": 1, "missing": ["b"]}),
    ],
)
def test_what_a_handler_returns_ends_its_run(made: Any, path: str, body: Any) -> None:
    call = ending(LEASE, made)
    assert (call.path.rpartition("/")[2], call.body) == (path, body)


@pytest.mark.parametrize(
    ("error", "path", "body"),
    [
        (
            WorkFailed("no page", kind="timeout", type="slow", retry_after=5),
            "fail",
            {"error": {"class": "timeout", "type": "slow", "message": "no page"}, "retryAfterSeconds": 5},
        ),
        (OSError(), "fail", {"error": {"class": "transient", "type": "OSError", "message": "OSError"}}),
        (WorkStopped("the worker stops"), "release", {"reason": "the worker stops"}),
    ],
)
def test_what_a_handler_raises_ends_its_run(error: Exception, path: str, body: Any) -> None:
    call = failing(LEASE, error, None)
    assert call is not None
    assert (call.path.rpartition("/")[2], call.body) == (path, body)


def test_a_handler_that_was_told_to_stop_goes_back_whatever_it_raises_but_for_what_it_says_itself() -> None:
    why = WorkStopped("the worker stops")
    call = failing(LEASE, OSError("cut off"), why)
    assert call is not None and (call.path.rpartition("/")[2], call.body) == ("release", {"reason": "the worker stops"})
    call = failing(LEASE, WorkFailed("no page"), why)
    assert call is not None and call.path.endswith("/fail")


def test_an_end_that_can_not_be_stored_fails_its_job_and_every_other_refusal_is_raised() -> None:
    call = unstorable(LEASE, refusal(413, b'{"detail": "too large"}', None, 1))
    assert call.body["error"] == {"class": "deterministic", "type": "bad_result", "message": "413 too large"}
    with pytest.raises(Unauthorized):
        unstorable(LEASE, refusal(401, b"", None, 1))


def test_a_daemon_that_is_away_is_asked_more_and_more_rarely_and_no_sooner_than_it_says() -> None:
    away = [pause_after(NoAnswer("away"), misses) for misses in range(6)]
    assert away == [0.5, 1, 2, 4, 8, 8]
    assert pause_after(refusal(503, b"", 3, 1), 0) == 3
    assert pause_after(refusal(503, b"", None, 1), 9) == 8
    with pytest.raises(Forbidden):
        pause_after(refusal(403, b"", None, 1), 0)


def test_a_lease_that_is_lost_is_an_error_of_its_own_and_nothing_more_is_said() -> None:
    lost = refusal(409, b'{"type": "urn:secondunit:problem:lease_lost"}', None, 1)
    assert isinstance(lost, LeaseLost) and isinstance(lost, Conflict)
    assert failing(LEASE, lost, None) is None
    assert failing(LEASE, OSError(), lost) is None, "what it led to is no end either"


@pytest.mark.parametrize(("behind", "every"), [(0, 10), (27, 1), (3600, 0.2), (-3600, 10)])
def test_a_clock_that_is_wrong_makes_no_renewal_rare(behind: float, every: float) -> None:
    assert beat_every(LEASE, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=behind)) == every
