"""Keys of results, and the maker of journeys."""

from collections.abc import Callable
from typing import Any

from secondunit.handlers.locations.strategy import location_strategy, locations_key, video_id
from tests.unit.handlers.locations.journey import URL, Journey

Make = Callable[..., Journey]


def key(j: Journey, **params: Any) -> str:
    model = params.get("model", "gemini-x")
    return locations_key(video_id(URL), location_strategy(model, params.get("language")))
