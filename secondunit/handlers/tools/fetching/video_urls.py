"""URL canonicalisation: equal names for every spelling of a video's address; pure."""

import re
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from secondunit.handlers.tools.network.addresses import LONGEST_URL
from secondunit.queue.errors import BadPayload, FieldError

YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
YOUTUBE_HOSTS = {"youtube.com", "youtube-nocookie.com", "music.youtube.com"}
YOUTUBE_PATHS = ("shorts", "embed", "live", "v")
TRACKING = re.compile(r"utm_\w+|fbclid|gclid|si")
SHOWN = 40
PORTS = {"http": 80, "https": 443}


def url_identity(url: str) -> str:
    """The same for every spelling of a video's address."""
    video = youtube_id(url)
    return f"youtube:{video}" if video else f"url:{canonical(url)}"


def youtube_id(url: str) -> str | None:
    """The id of a video at YouTube, by whichever of its addresses; ValueError for what is too long to be one."""
    named = _youtube_name(url)
    return named if named and YOUTUBE_ID.fullmatch(named) else None


def check_video_url(field: str, url: str) -> None:
    """Refuse an address at YouTube that can't be a video's: nobody needs to be asked for that."""
    named = _youtube_name(url)
    if named is not None and not YOUTUBE_ID.fullmatch(named):
        said = f"{named[:SHOWN]!r} is no id of a video" if named else "it names no video"
        raise BadPayload(FieldError(field, f"{said}: YouTube's have 11 letters, digits, - or _"))


def _youtube_name(url: str) -> str | None:
    """What stands where YouTube's addresses name the video, perhaps ""; None for other addresses."""
    if len(url) > LONGEST_URL:
        raise ValueError(f"a URL may have {LONGEST_URL} characters, this one has {len(url)}")
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.").removeprefix("m.")
    names = [name for name in parts.path.split("/") if name]
    if host == "youtu.be" and names:
        return names[0]
    if host in YOUTUBE_HOSTS and names == ["watch"]:
        return next(iter(parse_qs(parts.query).get("v", ())), "")
    if host in YOUTUBE_HOSTS and len(names) > 1 and names[0] in YOUTUBE_PATHS:
        return names[1]
    return None


def canonical(url: str) -> str:
    """The address without what does not change its meaning: case of the host, default port, fragment, tracking."""
    parts = urlsplit(url.strip())
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, PORTS.get(scheme)) else f":{parts.port}"
    pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not TRACKING.fullmatch(pair[0])]
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return urlunsplit((scheme, host + port, path, urlencode(sorted(pairs)), ""))
