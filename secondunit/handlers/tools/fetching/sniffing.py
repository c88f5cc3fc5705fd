"""Tells by its first bytes what is a page or a playlist in the place of media, whatever its server calls it."""

import re

PAGE = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype html|html|head)[\s>]", re.IGNORECASE | re.DOTALL)
PLAYLIST = re.compile(rb"\s*(#EXTM3U|<\?xml[^>]*>\s*<MPD\s|<MPD\s)")
ENOUGH = 4096


def not_media(beginning: bytes) -> str | None:
    """What this is instead of media, or None if it may be media."""
    if PAGE.match(beginning):
        return "a page"
    return "the playlist of a stream" if PLAYLIST.match(beginning) else None
