"""Error mapping of yt-dlp: what a fault means for its job, in words that a person understands."""

import errno
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from secondunit.handlers.tools.http_statuses import in_trouble, passing, word
from secondunit.queue.outcome import DISK_FULL, Deterministic, Transient
from secondunit.queue.value import Value

BOT_WAIT, RATE_WAIT, SERVER_WAIT = timedelta(hours=1), timedelta(minutes=15), timedelta(minutes=1)
LONGEST_WAIT = timedelta(days=1)
LONGEST = 300
MOST_HEARD = 2000  # characters of what was said; a site writes these, and a reason phrase may have 64 KB
OUT_OF_TWO = 2

# In this order: the first that fits says what it is. Sites word these in their own ways; yt-dlp passes the words on.
SAID: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), type, meaning)
    for pattern, type, meaning in (
        (r"not a bot|captcha|unusual traffic", "bot_check", "the site took us for a robot"),
        (r"rate.?limit|too many requests", "rate_limited", "the site asks for fewer requests"),
        (r"private (?:video|playlist)|(?:video|post|account) is private", "private_video", "the video is private"),
        (r"members.only|join this channel|available to .{0,80}(?:members|subscribers)|premium|purchase|\brent",
         "members_only", "the video is for members or buyers only"),
        (r"in your (?:country|location|region)|geo.?(?:block|restrict)|from your location", "geo_blocked",
         "the video is not offered in this country"),
        (r"sign in|log ?in|logged.in|confirm your age|age.restricted|authenticat", "forbidden",
         "the site wants a login"),
        (r"\bdrm\b", "unsupported_url", "the video is protected against copying (DRM)"),
        (r"removed|deleted|terminated|no longer (?:available|exists)|unavailable|does not exist|isn.t available",
         "video_removed", "the video is gone"),
        (r"unsupported url|no video(?: formats)? (?:could be )?found|no media found|there.s no video",
         "unsupported_url", "no video was found there"),
    )
)  # fmt: skip
WAITS = {"bot_check": BOT_WAIT, "rate_limited": RATE_WAIT}
TROUBLE = {"rate_limited": ("asks for fewer requests", RATE_WAIT), "server_error": ("is in trouble", SERVER_WAIT)}
FINAL = {
    "forbidden": "the server does not let us have it",
    "not_found": "there is nothing there",
    "http_error": "the server refuses the request",
}
PREFIX = re.compile(r"(?:\s*ERROR:)?\s*(?:\[[^\]]*\])?")
URLS = re.compile(r"https?://\S+")
STATUS = re.compile(r"HTTP Error ([0-9]{3})")
APPENDIX = re.compile(r"please report this issue|\(caused by|See {1,4}https?://|Use --|Confirm you are")


class YtDlpFault(Value, frozen=True):
    """As the child program tells it: the classes of the errors, the words, the HTTP status.

    `expected`: yt-dlp understood the site, and the site's answer was no.
    """

    names: tuple[str, ...]
    message: str
    refused: str | None
    status: int | None
    retry_after: str | None
    errno: int | None
    expected: bool = False

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "YtDlpFault":
        """From the child's JSON, cut to what anybody reads of it."""
        asked = told["retry_after"]
        return cls(
            names=tuple(told["names"]),
            message=str(told["message"])[:MOST_HEARD],
            refused=told["refused"],
            status=told["status"],
            retry_after=None if asked is None else str(asked)[:LONGEST],
            errno=told["errno"],
            expected=told["expected"],
        )


def judge(fault: YtDlpFault, url: str, attempt: int) -> Transient | Deterministic:
    """The exception to raise; a Transient with a delay asks the whole host's jobs to wait."""
    words = clean(fault.message)
    if fault.refused:
        return Deterministic(f"{url}: {words}", type=fault.refused)
    if fault.errno in DISK_FULL:
        return Transient(f"{url}: the disk is full", type="disk_full")
    if fault.errno == errno.EFBIG:
        return Deterministic(f"{url}: the video is larger than is allowed", type="too_large")
    if {"PermissionError", "UnsupportedRequest", "NoSupportingHandlers"} & set(fault.names):
        return Deterministic(f"{url} leads to what may not be fetched: {words}", type="egress_denied")
    if fault.names[:1] == ("ParseError",):
        return Deterministic(f"{url}: its subtitles can't be read: {words}", type="bad_subtitles")
    return _by_words(fault, url, words) or _by_status(fault, url) or _unknown(fault, url, words, attempt)


def clean(message: str) -> str:
    """The words without what yt-dlp says to its own users."""
    said = message[:MOST_HEARD].replace("\r", "")
    if prefix := PREFIX.match(said):
        said = said[prefix.end() :]
    if appendix := APPENDIX.search(said):
        said = said[: appendix.start()].rstrip(" ").removesuffix(";")
    return said.strip()[:LONGEST] or "no reason given"


def _by_words(fault: YtDlpFault, url: str, words: str) -> Transient | Deterministic | None:
    if "GeoRestrictedError" in fault.names:
        return Deterministic(f"{url}: the video is not offered in this country", type="geo_blocked")
    if STATUS.search(words):
        return None  # "HTTP Error 404: Not Found (the video was removed)": the status says it better
    if "UnsupportedError" in fault.names:
        return Deterministic(f"{url}: no video was found there", type="unsupported_url")
    said = URLS.sub("", fault.message)
    for pattern, type, meaning in SAID:
        if pattern.search(said):
            message = f"{url}: {meaning} ({words})"
            if type in WAITS:
                return Transient(message, type=type, delay=_asked(fault) or WAITS[type])
            return Deterministic(message, type=type)
    return None


def _by_status(fault: YtDlpFault, url: str) -> Transient | Deterministic | None:
    found = STATUS.search(fault.message)
    status = fault.status or (int(found[1]) if found else None)
    if status is None:
        return None
    type = word(status)
    if not passing(status):
        return Deterministic(f"{url}: {FINAL[type]} (HTTP {status})", type=type)
    if not in_trouble(status):
        return Transient(f"{url}: the server was not ready (HTTP {status})", type=type)
    meaning, wait = TROUBLE[type]
    return Transient(f"{url}: the server {meaning} (HTTP {status})", type=type, delay=_asked(fault) or wait)


def _unknown(fault: YtDlpFault, url: str, words: str, attempt: int) -> Transient | Deterministic:
    if "PostProcessingError" in fault.names and attempt >= OUT_OF_TWO:
        return Deterministic(f"{url}: what came is not a video that can be read ({words})", type="not_media")
    if fault.expected:
        return Deterministic(f"{url}: the site has no such video for us ({words})", type="site_refused")
    return Transient(f"{url}: {words}", type="download_failed")


def _asked(fault: YtDlpFault) -> timedelta | None:
    seconds = (fault.retry_after or "").strip()
    return min(timedelta(seconds=int(seconds[:9])), LONGEST_WAIT) if seconds.isascii() and seconds.isdigit() else None
