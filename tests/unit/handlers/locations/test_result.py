"""The result of a search for places, and what of an earlier one still holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from secondunit.handlers.locations.places import Place
from secondunit.handlers.locations.result import missing_until, outcome, passing, result, route, routes_of
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.handlers.tools.geocoding.matching import GeocodingHit
from secondunit.queue.outcome import Partial
from secondunit.queue.value import replace
from secondunit.testing.jobs import new

TAIPEI = Place("Taipei 101", "poi", "Taipei", "Taiwan", 312.0, "the view at night", ("landmark", "tower"))
SHILIN = Place("Shilin Night Market", "food", "Taipei", "", 400.5, "", ())
TEMPLE = Place("Longshan Temple", "poi", "", "", 700.0, "", ())
PLACES = (TAIPEI, SHILIN, TEMPLE)
HIT = GeocodingHit(25.0339, 121.5645, 0.9)
AT = datetime(2030, 1, 1, 0, 0, 0, 900_000, tzinfo=UTC)


def made(outcomes: Any, *notes: str) -> Any:
    return result("video", "0a1b2c3d", PLACES, outcomes, Usage(900, 60, 20, 980), notes, AT)


def test_a_route_has_longitude_before_latitude_and_the_time_as_subtitles_write_it() -> None:
    assert route(TAIPEI, HIT) == {
        "location": "Taipei 101",
        "coordinates": [121.5645, 25.0339],
        "description": "the view at night",
        "timecode": "00:05:12,000",
        "tags": ["landmark", "tower"],
        "marker": "poi",
    }


def test_routes_and_failures_stand_in_the_order_of_the_video_whatever_came_first() -> None:
    told = made({2: route(TEMPLE, HIT), 1: "not_found", 0: route(TAIPEI, HIT)})
    assert [one["location"] for one in told["routes"]] == ["Taipei 101", "Longshan Temple"]
    assert told["failed"] == [{"raw": "Shilin Night Market, Taipei", "reason": "not_found"}]
    assert told["stats"] == {"tokens_in": 900, "tokens_out": 80, "locations_found": 2}
    assert (told["last_updated"], told["video_id"], told["strategy_version"]) == (1893456000, "video", "0a1b2c3d")
    assert "OpenStreetMap" in told["attribution"]


@pytest.mark.parametrize(
    ("reasons", "helps", "by_itself"),
    [(["ambiguous", "rejected"], False, False), (["ambiguous", "not_found"], True, False),
     (["not_found", "unavailable", "rejected"], True, True), ([], False, False)],
)  # fmt: skip
def test_looking_again_may_help_for_more_reasons_than_pass_by_themselves(
    reasons: list[str], helps: bool, by_itself: bool
) -> None:
    told = made(dict(enumerate(reasons)))
    assert told["retryable"] is helps
    job = new("a").job
    assert passing(replace(job, result=told)) is by_itself
    assert not passing(replace(job, result=None)) and not passing(replace(job, result="text"))


def test_what_is_noted_stands_in_one_line_and_nothing_stands_for_nothing() -> None:
    assert made({}, "cut", "short")["note"] == "cut; short"
    assert "note" not in made({})


def test_a_job_ends_partial_with_what_is_missing_and_completed_without() -> None:
    whole = made({0: route(TAIPEI, HIT)})
    assert outcome(whole) is whole
    told = made({0: route(TAIPEI, HIT), 1: "unavailable"})
    ended = outcome(told)
    assert isinstance(ended, Partial) and ended.missing == told["failed"] and ended.result is told


def test_the_routes_of_an_earlier_result_come_back_under_the_numbers_of_their_places() -> None:
    stored = made({0: route(TAIPEI, HIT), 1: "not_found", 2: route(TEMPLE, HIT)})
    assert routes_of(stored, PLACES) == {0: stored["routes"][0], 2: stored["routes"][1]}
    assert routes_of(None, PLACES) == {}
    nothing = made({0: "not_found", 1: "not_found", 2: "rejected"})
    assert routes_of(nothing, PLACES) == {}


@pytest.mark.parametrize(
    "others",
    [(TAIPEI, SHILIN), (TAIPEI, SHILIN, TEMPLE, TEMPLE), (TEMPLE, SHILIN, TAIPEI), (SHILIN,), ()],
    ids=["fewer", "more", "in another order", "one", "none"],
)
def test_when_the_places_are_others_now_none_of_their_routes_is_taken(others: tuple[Place, ...]) -> None:
    stored = made({0: route(TAIPEI, HIT), 1: "not_found", 2: route(TEMPLE, HIT)})
    assert routes_of(stored, others) == {}


def test_what_was_missing_counts_up_to_the_end_of_the_second_in_which_the_result_was_made() -> None:
    until = missing_until(made({}))
    assert until is not None and AT < until <= AT + timedelta(seconds=1)
    assert missing_until(None) is None
