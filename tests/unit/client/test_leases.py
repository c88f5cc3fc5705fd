"""What a worker says of a run by what its handler made of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from secondunit.client.errors import Conflict, LeaseLost, refusal
from secondunit.client.leases import (
    Partial,
    WorkFailed,
    WorkStopped,
    artifact,
    beat_every,
    ending,
    failing,
    lease_of,
    step,
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
    call = failing(LEASE, error)
    assert call is not None
    assert (call.path.rpartition("/")[2], call.body) == (path, body)


def test_a_lease_that_is_lost_is_an_error_of_its_own_and_nothing_more_is_said() -> None:
    lost = refusal(409, b'{"type": "urn:secondunit:problem:lease_lost"}', None, 1)
    assert isinstance(lost, LeaseLost) and isinstance(lost, Conflict)
    assert failing(LEASE, lost) is None


@pytest.mark.parametrize(("behind", "every"), [(0, 10), (27, 1), (3600, 0.2), (-3600, 10)])
def test_a_clock_that_is_wrong_makes_no_renewal_rare(behind: float, every: float) -> None:
    assert beat_every(LEASE, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=behind)) == every
