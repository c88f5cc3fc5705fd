"""Cache of analyses: the key, what a result was made from and how; and what a result from there says; pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from secondunit.handlers.analyze.recipe import PROMPT_VERSION, SCHEMA
from secondunit.handlers.tools.gemini.model_names import model_name

FRAME_POLICY = 1  # raise it when frames are chosen in another way


def strategy(model: str, frames: int | None, language: str | None) -> str:
    """How a recipe is made, in 8 hex digits; `frames` None: as many as fit the video."""
    how = {
        "model": model_name(model),
        "prompt": PROMPT_VERSION,
        "schema": _digest(SCHEMA),
        "frames": [FRAME_POLICY, frames],
        "language": language and language.lower(),
    }
    return _digest(how)


def cache_key(source: str, how: str) -> str:
    """Where the result of this source by this strategy is kept."""
    return "analyze:" + hashlib.sha256(json.dumps([source, how]).encode()).hexdigest()


def as_cached(result: Mapping[str, Any], source: str | None = None) -> Mapping[str, Any]:
    """The result as its second reader gets it, who pays nothing; `original` has what its making cost.

    `source` is what that one calls the video: what the first one called it may be nobody else's affair.
    """
    metadata = result["metadata"]
    original = {"cost": metadata.get("cost"), "gemini_tokens": metadata.get("gemini_tokens")}
    none = dict.fromkeys(original["gemini_tokens"] or ("prompt", "output", "thoughts", "total"), 0)
    info = metadata.get("video_info") or {}
    metadata = metadata if source is None else {**metadata, "video_info": {**info, "source": source}}
    return {**result, "metadata": {**metadata, "cached": True, "cost": 0, "gemini_tokens": none, "original": original}}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
