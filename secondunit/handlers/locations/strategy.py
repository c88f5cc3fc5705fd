"""Cache keys of a video's places: the video, and how they were found; equal names, equal results; pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from secondunit.handlers.tools.fetching.video_urls import canonical, youtube_id
from secondunit.handlers.tools.gemini.model_names import model_name

TEMPERATURE = 0.7
COMPRESSION_RATIO = 0.4
# Raise it with every change of the question's words or of the answer's schema: the old results then stay as they are.
EXTRACTION_VERSION = 2
GEOCODE_MODE = "std"


def video_id(url: str) -> str:
    """YouTube's id of the video, else the first 16 hex digits of its canonical address's SHA-256."""
    return youtube_id(url) or hashlib.sha256(canonical(url).encode()).hexdigest()[:16]


def location_strategy(model: str, language: str | None) -> str:
    """How places are found, in 8 hex digits; without a language it is the one that TrailTag's clients know."""
    how: dict[str, object] = {
        "model": model_name(model),
        "model_temp": TEMPERATURE,
        "compression_ratio": COMPRESSION_RATIO,
        "extraction_prompt_v": EXTRACTION_VERSION,
        "geocode_mode": GEOCODE_MODE,
    }
    if language is not None:
        how["language"] = language.lower()
    return hashlib.sha1(json.dumps(how, sort_keys=True).encode(), usedforsecurity=False).hexdigest()[:8]


def locations_key(video_id: str, strategy: str) -> str:
    """Where the result of this video by this strategy is kept."""
    return f"locations:{video_id}:{strategy}"


def asked_key(video_id: str, language: str | None) -> str:
    """Where it is kept which strategy was last asked for, of this video in this language or without one."""
    return f"asked-locations:{video_id}:{(language or '').lower()}"


def last_asked_key(video_id: str) -> str:
    """Where it is kept which strategy was last asked for, of this video in whichever language."""
    return f"last-asked-locations:{video_id}"


def latest_key(video_id: str) -> str:
    """Where it is kept which strategy made the video's latest result."""
    return f"latest-locations:{video_id}"


def latest(strategy: str) -> Mapping[str, str]:
    """What is kept there."""
    return {"strategy": strategy}


def latest_strategy(kept: Mapping[str, Any]) -> str:
    """The strategy that `latest` kept."""
    return str(kept["strategy"])
