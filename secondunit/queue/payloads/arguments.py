"""Argument checks: what handlers hand to the queue, as it can be kept; HandlerBroke where it can't."""

import json
import math
from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any

from secondunit.queue.outcome import Deterministic, HandlerBroke
from secondunit.queue.payloads.json_text import deeper, load
from secondunit.queue.payloads.redaction import redacted

LONGEST_MESSAGE = 2000
LONGEST_NAME = 1000
LARGEST_JSON = 4 << 20
DEEPEST_JSON = 64
ENCODE = json.JSONEncoder(allow_nan=False).encode


def to_json(value: Any, what: str) -> Any:
    """The value as JSON gives it back; Deterministic when it is none, larger than 4 MiB or deeper than 64 levels."""
    try:
        text = ENCODE(value)
        if len(text) > LARGEST_JSON:
            raise Deterministic(f"{what} has {len(text)} bytes of JSON; {LARGEST_JSON} are allowed", type="too_large")
        as_json = load(text)
    except RecursionError:
        raise _too_deep(what) from None
    except (TypeError, ValueError, OverflowError) as error:
        if "Circular" in str(error):
            raise HandlerBroke(f"{what} contains itself") from None
        raise Deterministic(f"{what} is not JSON: {error}", type="not_json") from error
    if text.count("{") + text.count("[") > DEEPEST_JSON and deeper(as_json, DEEPEST_JSON):
        raise _too_deep(what)
    return as_json


def clean(text: str) -> str:
    """Text that fits a row and a reader: no lone surrogates, no NUL, no URL's secrets, at most 2,000 characters."""
    return redacted(text.encode("utf-8", "replace").decode().replace("\0", ""))[:LONGEST_MESSAGE]


def number(value: Any, what: str) -> float:
    """The value as a float that is a number."""
    try:
        as_float = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise HandlerBroke(f"{what} is a number from 0 to 1: {error}") from None
    if math.isnan(as_float):
        raise HandlerBroke(f"{what} is a number from 0 to 1, and not NaN")
    return as_float


def words(value: Any, what: str) -> str:
    """The value as text that fits a row."""
    if not isinstance(value, str):
        raise HandlerBroke(f"{what} is text, not of type {type(value).__name__}")
    return clean(str.__str__(value))


def name(value: Any, what: str) -> str:
    """The value as a name: the same from one run to the next, so nothing is cut or cleaned."""
    if not isinstance(value, str):
        raise HandlerBroke(f"{what} is text, not of type {type(value).__name__}")
    text = str.__str__(value)
    if not 0 < len(text) <= LONGEST_NAME or "\0" in text or text.encode("utf-8", "replace").decode() != text:
        raise HandlerBroke(f"{what} is text of 1 to {LONGEST_NAME} characters, without NUL or lone surrogates")
    return text


def begun(work: Any, what: str, *arguments: Any) -> Awaitable[Any]:
    """What `work` gives when it is called, if that can be awaited."""
    if not callable(work):
        raise HandlerBroke(f"{what} is an async function, not a {type(work).__name__}")
    going = work(*arguments)
    if not isawaitable(going):
        raise HandlerBroke(f"{what} is an async function; this one gave a {type(going).__name__}")
    return going


def _too_deep(what: str) -> HandlerBroke:
    return HandlerBroke(f"{what} is nested deeper than {DEEPEST_JSON} levels")
