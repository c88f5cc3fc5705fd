"""Answers in TrailTag's words: for who asked there, and for nobody else."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import ValidationError, convert, to_builtins

from secondunit.daemon.http.contract import serialize, trailtag
from secondunit.daemon.http.contract.trailtag_responses import MapVisualization, Route, VideoAccepted, VideoJob
from secondunit.queue.handler import Registry
from secondunit.queue.model import Job, Status
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW

JOB = Job(
    id="job_" + "a" * 26,
    type="locations",
    payload={"videoUrl": "https://x/"},
    priority=2,
    status=Status.COMPLETED,
    created_at=NOW,
    updated_at=NOW + timedelta(seconds=1, milliseconds=999),
    retry=RetryPolicy(),
    source=trailtag.SOURCE,
    labels={trailtag.VIDEO: "dQw4w9WgXcQ", trailtag.STRATEGY: "0a1b2c3d"},
)
ROUTE = {
    "location": "Taipei 101",
    "coordinates": [121.5645, 25.0339],
    "description": "",
    "timecode": "00:05:12,000",
    "tags": [],
    "marker": "poi",
}
HOW = {"strategy_version": "0a1b2c3d"}
RESULT = {
    **HOW,
    "video_id": "dQw4w9WgXcQ",
    "routes": [ROUTE],
    "failed": [],
    "retryable": False,
    "last_updated": 1893456000,
    "stats": {},
    "attribution": "OpenStreetMap",
}
REGISTRY = Registry([])


def test_only_two_statuses_have_other_words() -> None:
    words = {status.value: trailtag.word(status) for status in Status}
    assert {usual: word for usual, word in words.items() if usual != word} == {
        "completed": "done",
        "cancelled": "canceled",
    }


def test_a_result_that_is_known_is_done_or_partial_by_what_failed() -> None:
    known = to_builtins(trailtag.known(RESULT, "job_b"))
    assert known == {"job_id": "job_b", "video_id": "dQw4w9WgXcQ", "status": "done", "cached": True, **HOW}
    assert (
        to_builtins(trailtag.known(RESULT | {"failed": [{"raw": "x", "reason": "not_found"}]}, "job_b"))["status"]
        == "partial"
    )


def test_a_map_shows_what_failed_only_where_something_did() -> None:
    assert to_builtins(trailtag.visualization(RESULT)) == {"video_id": "dQw4w9WgXcQ", "routes": [ROUTE], **HOW}
    partial = RESULT | {"failed": [{"raw": "x", "reason": "not_found"}]}
    shown = to_builtins(trailtag.visualization(partial))
    assert shown.keys() == {"video_id", "routes", "strategy_version", "failed", "retryable", "last_updated"}
    convert(shown, MapVisualization)


def test_a_job_is_told_in_both_words_at_once_and_times_are_whole_seconds() -> None:
    told = to_builtins(trailtag.detail(JOB, REGISTRY))
    usual = to_builtins(serialize.detail(JOB, REGISTRY))
    assert {name for name in usual if told[name] != usual[name]} == {"status", "stats"}
    assert (told["job_id"], told["status"]) == (told["jobId"], "done")
    assert (told["created_at"], told["updated_at"]) == (int(NOW.timestamp()), int(NOW.timestamp()) + 1)
    convert(told, VideoJob)


@pytest.mark.parametrize(
    ("stats", "shown"),
    [
        (None, {"tokens_in": 0, "tokens_out": 0, "locations_found": 0}),
        ({"tokens_in": 7}, {"tokens_in": 7, "tokens_out": 0, "locations_found": 0}),
        ({"tokens_in": 7, "more": 1}, {"tokens_in": 7, "tokens_out": 0, "locations_found": 0}),
    ],
)
def test_figures_that_are_not_known_yet_are_nought(stats: Any, shown: Any) -> None:
    assert to_builtins(trailtag.detail(replace(JOB, stats=stats), REGISTRY))["stats"] == shown
    assert trailtag.UNKNOWN_YET == {"tokens_in": 0, "tokens_out": 0, "locations_found": 0}


def test_a_job_that_was_asked_for_elsewhere_keeps_the_usual_words_whatever_its_labels() -> None:
    other = replace(JOB, source="api")
    assert to_builtins(trailtag.detail(other, REGISTRY)) == to_builtins(serialize.detail(other, REGISTRY))


def test_a_submitter_hears_the_id_and_the_video() -> None:
    told = to_builtins(trailtag.submitted(replace(JOB, status=Status.QUEUED)))
    assert told == {"job_id": JOB.id, "video_id": "dQw4w9WgXcQ", "status": "queued", "cached": False, **HOW}
    convert(told, VideoAccepted)
    assert to_builtins(trailtag.moved(replace(JOB, status=Status.CANCELLED))) == {
        "job_id": JOB.id,
        "status": "canceled",
        "jobId": JOB.id,
        **HOW,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"coordinates": [121.5645]},
        {"coordinates": [121.5645, 25.0339, 0.0]},
        {"timecode": "5:12"},
        {"timecode": "00:05:12.000"},
        {"marker": None},
        {"lat": 1.0},
    ],
)
def test_a_place_that_a_client_could_not_draw_does_not_fit(wrong: dict[str, Any]) -> None:
    convert(ROUTE | {"timecode": "100:00:00,000"}, Route)
    with pytest.raises(ValidationError, match=f"`{next(iter(wrong))}`|{next(iter(wrong))}"):
        convert(ROUTE | wrong, Route)
