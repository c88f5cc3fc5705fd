"""Bodies and queries: what they mean to the queue, and under which name a fault in them is told."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from multidict import MultiDict
from pydantic import BaseModel

from secondunit.daemon.access.callers import EVERYBODY
from secondunit.daemon.http.contract import requests
from secondunit.daemon.http.contract.filters import bulk_filter, filter_of
from secondunit.daemon.http.contract.idempotency import idempotency_keys
from secondunit.daemon.http.contract.requests import (
    BulkAsk,
    EventsQuery,
    FilterAsk,
    ListQuery,
    RecoverAsk,
    StrategyQuery,
    StuckQuery,
    SubmitAsk,
    query,
    submission,
    taken,
)
from secondunit.daemon.http.contract.video_requests import VideoAsk
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.queue.errors import BadPayload
from secondunit.queue.handler import HandlerSpec, JobContext, Registry
from secondunit.queue.model import Idempotency, Status, Submission, Target
from secondunit.queue.retry import RetryPolicy

RULE = AddressRule()
OF_TYPE = RetryPolicy(7, "fixed", timedelta(seconds=9))


class Anything(BaseModel):
    """A payload."""


async def never(ctx: JobContext, payload: Any) -> None:
    """Tests here run nothing."""


NO_TYPES, NOW = Registry([]), datetime(2030, 1, 1, tzinfo=UTC)
REGISTRY = Registry([HandlerSpec("clip", Anything, never, retry=OF_TYPE)])


def asked(**fields: Any) -> Submission:
    return submission(taken(SubmitAsk, {"type": "clip", "payload": {}, **fields}), REGISTRY, RULE, None, EVERYBODY)


def faults(model: type[BaseModel], content: Mapping[str, Any]) -> dict[str, str]:
    with pytest.raises(BadPayload) as refused:
        taken(model, content)
    return {fault.field: fault.message for fault in refused.value.errors}


def test_what_is_left_out_stays_open_for_the_type_to_decide() -> None:
    assert asked(payload={"a": [1]}) == Submission("clip", {"a": [1]})
    null = dict.fromkeys(("priority", "callback", "retryPolicy", "runAt", "timeoutSeconds", "dependsOn"))
    assert asked(**null) == Submission("clip", {})


def test_each_field_reaches_the_queue_in_its_own_units() -> None:
    made = asked(
        priority=0,
        callback="https://example.com/done",
        retryPolicy={"maxRetries": 2, "backoff": "exponential", "initialDelay": 1500},
        runAt="2026-01-22T13:00:00+01:00",
        timeoutSeconds=0.5,
    )
    assert (made.priority, made.target) == (0, Target("callback", "https://example.com/done"))
    assert made.retry == RetryPolicy(2, "exponential", timedelta(milliseconds=1500))
    assert (made.run_at, made.timeout) == (datetime(2026, 1, 22, 12, tzinfo=UTC), timedelta(milliseconds=500))


@pytest.mark.parametrize(
    ("policy", "meant"),
    [
        ({}, OF_TYPE),
        ({"maxRetries": 0}, RetryPolicy(0, "fixed", timedelta(seconds=9))),
        ({"backoff": "exponential"}, RetryPolicy(7, "exponential", timedelta(seconds=9))),
        ({"initialDelay": 0}, RetryPolicy(7, "fixed", timedelta(0))),
        ({"maxRetries": None, "initialDelay": None}, OF_TYPE),
    ],
)
def test_a_retry_policy_in_parts_is_filled_up_from_the_type(policy: Mapping[str, Any], meant: RetryPolicy) -> None:
    assert asked(retryPolicy=policy).retry == meant


def test_of_a_type_that_is_not_known_the_common_policy_fills_up() -> None:
    """Which type that is, the queue says itself."""
    assert asked(type="nope", retryPolicy={"maxRetries": 1}).retry == RetryPolicy(1)


@pytest.mark.parametrize(
    ("run_at", "says"),
    [
        ("2026-01-22T12:00:00", "time zone"),
        ("2026-01-22", "time zone"),
        ("tomorrow", "ISO 8601"),
        ("", "ISO 8601"),
        (1769083200, "ISO 8601"),
        ("0001-01-01T00:00:00+23:59", "ISO 8601"),
    ],
)
def test_a_time_that_can_not_be_told_is_refused(run_at: Any, says: str) -> None:
    told = faults(SubmitAsk, {"type": "clip", "payload": {}, "runAt": run_at})
    assert list(told) == ["runAt"] and says in told["runAt"] and "2026-01-22T12:00:00Z" in told["runAt"]


def test_a_fault_in_a_callback_stands_at_its_place_in_a_batch() -> None:
    ask = taken(SubmitAsk, {"type": "clip", "payload": {}, "callback": "http://10.0.0.1/"})
    with pytest.raises(BadPayload) as refused:
        submission(ask, REGISTRY, RULE, None, EVERYBODY, "jobs.3.")
    assert [fault.field for fault in refused.value.errors] == ["jobs.3.callback"]


def test_every_fault_is_told_at_once_under_the_name_that_was_written() -> None:
    told = faults(
        SubmitAsk,
        {"type": "", "payload": [], "priority": 9, "retry_policy": {}, "retryPolicy": {"maxRetries": "3"}, "x": 1},
    )
    assert told.keys() == {"type", "payload", "priority", "retry_policy", "retryPolicy.maxRetries", "x"}
    assert told["x"] == told["retry_policy"] == "unknown field"
    assert not any(message.startswith("Value error") for message in told.values())


@pytest.mark.parametrize("given", ["queued,running", "queued, running,", ["queued", "running"], ["queued,running"]])
def test_several_words_may_be_written_in_every_usual_way(given: Any) -> None:
    meant = filter_of(taken(FilterAsk, {"status": given, "type": "clip"}), EVERYBODY, NO_TYPES, NOW)
    assert meant.statuses == [Status.QUEUED, Status.RUNNING] and meant.types == ["clip"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("waiting", "status"),
        ("queued,gone", "status"),
        (["queued", "gone"], "status.1"),
        (3, "status"),
        (["queued", ""], "status.1"),
    ],
)
def test_a_word_that_is_no_status_is_refused_at_its_place(given: Any, field: str) -> None:
    assert list(faults(FilterAsk, {"status": given})) == [field]


@pytest.mark.parametrize("nothing", [{}, {"status": ""}, {"status": ",", "type": [], "ids": []}])
def test_a_move_for_many_never_means_all_by_saying_nothing(nothing: Mapping[str, Any]) -> None:
    with pytest.raises(BadPayload, match="every job"):
        bulk_filter(taken(BulkAsk, {"filter": nothing}), EVERYBODY, NO_TYPES, NOW)
    for said in ({"status": "failed"}, {"type": "clip"}, {"ids": ["a"]}, {"q": "film"}):
        meant = bulk_filter(taken(BulkAsk, {"filter": {**nothing, **said}}), EVERYBODY, NO_TYPES, NOW)
        assert meant == filter_of(taken(FilterAsk, said), EVERYBODY, NO_TYPES, NOW)


@pytest.mark.parametrize(
    ("model", "asked", "meant"),
    [
        (ListQuery, [("status", "queued"), ("status", "failed,partial")], {"status": ["queued", "failed", "partial"]}),
        (ListQuery, [("limit", "7"), ("cursor", "9")], {"limit": 7, "cursor": "9"}),
        (ListQuery, [], {"limit": 20, "cursor": None, "status": [], "type": []}),
        (EventsQuery, [("jobId", "a,b"), ("jobId", "c"), ("lastEventId", "g-7")], {"job_id": ["a", "b", "c"]}),
        (StuckQuery, [("timeout", "0")], {"timeout": 0}),
        (StrategyQuery, [("strategy", "0a1b2c3d")], {"strategy": "0a1b2c3d"}),
    ],
)
def test_a_query_is_read_by_its_model(
    model: type[BaseModel], asked: Sequence[tuple[str, str]], meant: Mapping[str, Any]
) -> None:
    read = query(model, MultiDict(asked))
    assert {name: getattr(read, name) for name in meant} == meant


@pytest.mark.parametrize(
    ("model", "asked", "field"),
    [
        (ListQuery, [("limit", "1"), ("limit", "2")], "limit"),
        (ListQuery, [("limit", "1.5")], "limit"),
        (ListQuery, [("cursor", "9" * 101)], "cursor"),
        (ListQuery, [("ids", "a")], "ids"),
        (EventsQuery, [("job_id", "a")], "job_id"),
        (EventsQuery, [("lastEventId", "1"), ("lastEventId", "2")], "lastEventId"),
        (StuckQuery, [("timeout", "-1")], "timeout"),
        (StrategyQuery, [("strategy", "0A1B2C3D")], "strategy"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_by_its_name(
    model: type[BaseModel], asked: Sequence[tuple[str, str]], field: str
) -> None:
    with pytest.raises(BadPayload) as refused:
        query(model, MultiDict(asked))
    assert {fault.field for fault in refused.value.errors} == {field}


def test_ids_have_their_bounds() -> None:
    assert list(faults(RecoverAsk, {"ids": []})) == ["ids"]
    assert list(faults(RecoverAsk, {"ids": ["a", ""]})) == ["ids.1"]
    assert list(faults(RecoverAsk, {"ids": ["a"] * (requests.LARGEST_BATCH + 1)})) == ["ids"]


def test_a_video_may_be_called_by_either_name_and_by_no_other() -> None:
    assert taken(VideoAsk, {"url": "u"}).url == taken(VideoAsk, {"video_url": "u"}).video_url == "u"
    assert list(faults(VideoAsk, {"videoUrl": "u"})) == ["videoUrl"]


def digest(content: Any) -> bytes:
    [key] = idempotency_keys("k", content)
    assert isinstance(key, Idempotency)
    return key.digest


def test_a_request_is_the_same_whatever_the_order_of_its_keys() -> None:
    assert digest({"a": 1, "b": {"c": [1, 2], "d": None}}) == digest({"b": {"d": None, "c": [1, 2]}, "a": 1})


SAME_MOMENT = ("2026-01-22T12:00:00Z", "2026-01-22T13:00:00+01:00", "2026-01-22T12:00:00.000+00:00", "20260122T120000Z")


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a": 1, "b": [2]}, {"a": 1.0, "b": [2.0]}),
        ({"a": 0}, {"a": -0.0}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": None}, "d": None}),
        *(({"runAt": SAME_MOMENT[0]}, {"runAt": text}) for text in SAME_MOMENT),
        *(({"jobs": [{"runAt": SAME_MOMENT[0]}]}, {"jobs": [{"runAt": text}]}) for text in SAME_MOMENT),
    ],
)
def test_what_means_the_same_is_one_request(one: Mapping[str, Any], same: Mapping[str, Any]) -> None:
    assert digest(one) == digest(same)


def test_a_text_of_a_payload_is_no_instant() -> None:
    assert digest({"payload": {"runAt": SAME_MOMENT[0]}}) != digest({"payload": {"runAt": SAME_MOMENT[1]}})


def test_a_parameter_that_stands_twice_is_told_so() -> None:
    with pytest.raises(BadPayload) as refused:
        query(ListQuery, MultiDict([("limit", "1"), ("limit", "1")]))
    assert str(refused.value) == "limit: stands twice in the query; give it once"


@pytest.mark.parametrize(
    "other", [{"a": 2}, {"a": "1"}, {"a": [1]}, {"A": 1}, {"a": True}, {"a": 1.5}, {"a": 1, "b": [None]}, {}]
)
def test_another_request_has_another_digest(other: Mapping[str, Any]) -> None:
    assert digest({"a": 1}) != digest(other)


def test_a_batchs_jobs_have_a_key_each_that_no_single_job_can_have() -> None:
    keys = idempotency_keys("once", [1, 2], 2)
    assert [key.key for key in keys if key] == ["once 0", "once 1"]
    assert len({key.digest for key in keys if key}) == 1
    with pytest.raises(BadPayload, match="visible ASCII"):
        idempotency_keys("once 0", {})
    assert idempotency_keys(None, {}) == [None] and idempotency_keys(None, {}, 3) == [None] * 3


@pytest.mark.parametrize(
    ("key", "fits"), [("a" * 255, True), ("~!", True), ("", False), ("a" * 256, False), ("ü", False)]
)
def test_a_key_is_visible_ascii_of_at_most_255_characters(key: str, fits: bool) -> None:
    if fits:
        [made] = idempotency_keys(key, {})
        assert made is not None and made.key == key
    else:
        with pytest.raises(BadPayload) as refused:
            idempotency_keys(key, {})
        assert [fault.field for fault in refused.value.errors] == ["Idempotency-Key"]
