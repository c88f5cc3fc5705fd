from typing import Any

from secondunit.client.calls import Call
from secondunit.client.lease_calls import LeaseCalls


def asked(call: Call, patience: float | None = None) -> Call:
    assert patience in (None, 0)
    return call


CALLS = LeaseCalls(asked, lambda call: [call])


def test_every_call_of_a_worker_is_one_request() -> None:
    ends: list[Any] = [
        CALLS.complete("t/1", 7),
        CALLS.partial("t/1", 7, ["a"]),
        CALLS.fail("t/1", "transient", "away", "no answer", retry_after=3),
        CALLS.release("t/1", "full"),
    ]
    assert [(call.method, call.path.rpartition("/")[2], call.body) for call in ends] == [
        ("POST", "complete", {"result": 7}),
        ("POST", "partial", {"result": 7, "missing": ["a"]}),
        (
            "POST",
            "fail",
            {"error": {"class": "transient", "type": "away", "message": "no answer"}, "retryAfterSeconds": 3},
        ),
        ("POST", "release", {"reason": "full"}),
    ]
    meanwhile = [
        CALLS.renew("t/1", progress=5, phase=None),
        CALLS.step("t/1", "a b", 1),
        CALLS.artifact("t/1", "f", b"x"),
    ]
    assert [(call.method, call.path, call.body) for call in meanwhile] == [
        ("PUT", "/api/leases/t%2F1", {"progress": 5}),
        ("PUT", "/api/leases/t%2F1/steps/a%20b", {"result": 1}),
        ("PUT", "/api/leases/t%2F1/artifacts/f", b"x"),
    ]


def test_what_is_taken_is_read_from_the_answer() -> None:
    [call] = CALLS.take(["words"], "w", max=2, wait=9, patience=0)
    assert call.body == {"types": ["words"], "worker": "w", "max": 2, "waitSeconds": 9}
    assert call.waits == 9
