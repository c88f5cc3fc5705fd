"""Redaction of URLs in text: no password, no signature and no token of a query gets into what is told."""

import re
from collections.abc import Iterable

HIDDEN = "***"
# Bounded, and no letter can be taken by two of its parts: its time is linear in the text.
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,20}:/{2})([^\s\"'<>\\`]+)")
VIDEO_ID = re.compile(r"(v|list)=[A-Za-z0-9_-]{1,64}")  # names a video in public, and is all that its URL says
TRAILING = ".,:;!)]}"


def redacted(text: str) -> str:
    """The text, each URL in it without userinfo, fragment and the values of its query (but for YouTube's ids)."""
    return URL.sub(_shown, text) if "://" in text else text


def without(text: str, secrets: Iterable[str]) -> str:
    """The text, each of these secrets struck out of it: first the one that holds another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _shown(found: re.Match[str]) -> str:
    scheme, rest = found.groups()
    bare = rest.rstrip(TRAILING)
    before, fragment, _ = bare.partition("#")
    place, asks, query = before.partition("?")
    authority, slash, path = place.partition("/")
    userinfo, at, host = authority.rpartition("@")
    shown = f"{scheme}{HIDDEN + at if userinfo else at}{host}{slash}{path}"
    if asks:
        shown += "?" + "&".join(map(_parameter, query.split("&")))
    return shown + (fragment and f"#{HIDDEN}") + rest[len(bare) :]


def _parameter(text: str) -> str:
    if VIDEO_ID.fullmatch(text):
        return text
    name, equals, _ = text.partition("=")
    return f"{name}={HIDDEN}" if equals else text and HIDDEN
