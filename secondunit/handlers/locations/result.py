"""Result of a search for places: its shape, and what of an earlier one still holds; pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from secondunit.handlers.locations.places import Place
from secondunit.handlers.locations.search import LookupAnswer
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.handlers.tools.geocoding.matching import GeocodingHit
from secondunit.handlers.tools.subtitles.timecodes import timecode
from secondunit.queue.model import Job
from secondunit.queue.outcome import Partial

ATTRIBUTION = "Places: © OpenStreetMap contributors, ODbL 1.0, https://www.openstreetmap.org/copyright"
PASSING = "unavailable"
HELPED = (PASSING, "not_found")  # a map grows; what it calls ambiguous or can't read stays so

Route = Mapping[str, Any]


def route(place: Place, hit: GeocodingHit) -> Route:
    """A place on the map, as TrailTag's clients read it; coordinates are longitude, latitude."""
    return {
        "location": place.name,
        "coordinates": [hit.lng, hit.lat],
        "description": place.description,
        "timecode": timecode(place.at),
        "tags": list(place.tags),
        "marker": place.marker,
    }


def result(
    video: str,
    strategy: str,
    places: Sequence[Place],
    outcomes: Mapping[int, Route | LookupAnswer],
    usage: Usage,
    notes: Sequence[str],
    now: datetime,
) -> Mapping[str, Any]:
    """The whole result: `outcomes` has for each place its route, or why there is none."""
    routes = [found for _, found in sorted(outcomes.items()) if isinstance(found, Mapping)]
    failed = [
        {"raw": places[n].raw, "reason": reason} for n, reason in sorted(outcomes.items()) if isinstance(reason, str)
    ]
    return {
        "video_id": video,
        "strategy_version": strategy,
        "routes": routes,
        "failed": failed,
        "retryable": any(failure["reason"] in HELPED for failure in failed),
        "last_updated": int(now.timestamp()),
        "stats": {"tokens_in": usage.prompt, "tokens_out": usage.answered, "locations_found": len(routes)},
        "attribution": ATTRIBUTION,
        **({"note": "; ".join(notes)} if notes else {}),
    }


def outcome(result: Mapping[str, Any]) -> Mapping[str, Any] | Partial:
    """How a job with this result ends."""
    return Partial(result, missing=result["failed"]) if result["failed"] else result


def passing(job: Job) -> bool:
    """Whether a partial job missed a place for a reason that passes by itself."""
    failed = job.result.get("failed", ()) if isinstance(job.result, Mapping) else ()
    return any(failure["reason"] == PASSING for failure in failed)


def routes_of(stored: Mapping[str, Any] | None, places: Sequence[Place]) -> Mapping[int, Route]:
    """The routes of an earlier result by the number of their place; none when the places are others now."""
    if stored is None:
        return {}
    failed = {failure["raw"] for failure in stored["failed"]}
    found = [n for n, place in enumerate(places) if place.raw not in failed]
    routes = stored["routes"]
    same = len(found) == len(routes) and all(
        places[n].name == route["location"] for n, route in zip(found, routes, strict=True)
    )
    return dict(zip(found, routes, strict=True)) if same else {}


def missing_until(stored: Mapping[str, Any] | None) -> datetime | None:
    """When what is missing in an earlier result was last looked for, rounded up."""
    return datetime.fromtimestamp(stored["last_updated"], UTC) + timedelta(seconds=1) if stored else None
