"""Content sniffing: first bytes tell what is a page or a playlist in the place of media, whatever its server says.

By scanning, not by a pattern: whoever serves these bytes chose them, and a pattern over comments can be made to search
for ever.
"""

from collections.abc import Collection

ENOUGH = 4096
BLANK, BYTE_ORDER_MARK = b" \t\r\n\f\v", b"\xef\xbb\xbf"
NAME_ENDS, LONGEST_TAG = BLANK + b">", 16
COMMENT, COMMENT_ENDS = b"<!--", b"-->"
DECLARATION, DECLARATION_ENDS = b"<?xml", b"?>"
PAGES, PLAYLISTS = (b"<!doctype html", b"<html", b"<head"), (b"<mpd",)


def not_media(beginning: bytes) -> str | None:
    """What this is instead of media, or None if it may be media; more than the first 4 KB are not looked at."""
    text = beginning[:ENOUGH].removeprefix(BYTE_ORDER_MARK).lstrip(BLANK)
    if text.startswith(b"#EXTM3U"):
        return "the playlist of a stream"
    markup = _after_prologue(text)
    cut_off = not markup or (len(beginning) >= ENOUGH and len(markup) < LONGEST_TAG)
    if cut_off and text.startswith((COMMENT, DECLARATION)):
        return "a page"  # no media begin like that, and what it is stands further down
    if _tag(markup, PAGES):
        return "a page"
    return "the playlist of a stream" if _tag(markup, PLAYLISTS) else None


def _after_prologue(text: bytes) -> bytes:
    """What follows the comments and the XML declaration; nothing if they have no end here."""
    at = 0
    while True:
        if text.startswith(COMMENT, at):
            end, mark = text.find(COMMENT_ENDS, at + 2), COMMENT_ENDS  # HTML lets `<!-->` be a whole comment
        elif text.startswith(DECLARATION, at):
            end, mark = text.find(DECLARATION_ENDS, at), DECLARATION_ENDS
        else:
            return text[at:]
        if end < 0:
            return b""
        at = end + len(mark)
        while at < len(text) and text[at] in BLANK:
            at += 1


def _tag(markup: bytes, names: Collection[bytes]) -> bool:
    """Whether it begins with one of these, and the name ends there."""
    lowered = markup[:LONGEST_TAG].lower()
    return any(
        lowered.startswith(name) and len(lowered) > len(name) and lowered[len(name)] in NAME_ENDS for name in names
    )
