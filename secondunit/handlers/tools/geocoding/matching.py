"""Disambiguation of a geocoder's hits: which is the place that is meant; pure."""

import re
import unicodedata
from collections.abc import Sequence
from math import asin, cos, radians, sin, sqrt
from typing import Literal

from secondunit.queue.value import Value

EARTH_KM, FAR_KM = 6371.0, 50.0
NEARLY_AS_IMPORTANT = 0.1
NO_LETTER = re.compile(r"[\W_]+")

Missing = Literal["not_found", "ambiguous", "rejected"]


class GeocodingHit(Value, frozen=True):
    """A point on the map, in degrees; `importance` is the server's, 0 to 1."""

    lat: float
    lng: float
    importance: float = 0.0


class PlaceQuery(Value, frozen=True):
    """A place to look for; `settled`: its city or country is said, so the best hit is the right one."""

    query: str
    settled: bool


def chosen(hits: Sequence[GeocodingHit], wanted: PlaceQuery) -> GeocodingHit | Missing:
    """The best hit; ambiguous when another one far from it is nearly as important and nothing else decides."""
    if not hits:
        return "not_found"
    best = hits[0]
    contenders = (hit for hit in hits[1:] if abs(best.importance - hit.importance) < NEARLY_AS_IMPORTANT)
    if not wanted.settled and any(kilometres(best, contender) > FAR_KM for contender in contenders):
        return "ambiguous"
    return best


def kilometres(one: GeocodingHit, other: GeocodingHit) -> float:
    """The great-circle distance, by the haversine formula."""
    lat, other_lat = radians(one.lat), radians(other.lat)
    across = sin(radians(other.lng - one.lng) / 2) ** 2
    up = sin((other_lat - lat) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(up + cos(lat) * cos(other_lat) * across)))


def normalised(name: str) -> str:
    """The same for every way to write a name: width and case of its letters, what stands between them."""
    return NO_LETTER.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()
