"""Pages and playlists in the place of media are known by their first bytes, however these were chosen."""

import pytest

from secondunit.handlers.tools.fetching.sniffing import ENOUGH, not_media
from tests.arch.redos import limited

PAGE, PLAYLIST = "a page", "the playlist of a stream"


@pytest.mark.parametrize(
    ("beginning", "meaning"),
    [
        (b"<!DOCTYPE html><html>", PAGE),
        (b"\xef\xbb\xbf\r\n  <html lang=en>", PAGE),
        (b"<!-- one --> <!-- two --><head>", PAGE),
        (b"<!--><html>", PAGE),
        (b"<?xml version='1.0'?><!-- x --><!DOCTYPE html PUBLIC>", PAGE),
        (b"<!-- a comment that does not end here " + b"x" * ENOUGH, PAGE),
        (b"<!---->" * ENOUGH, PAGE),
        (b" " * ENOUGH + b"<html>", None),
        (b" \n#EXTM3U\n#EXT-X-VERSION:3", PLAYLIST),
        (b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash">', PLAYLIST),
        (b"<MPD\n>", PLAYLIST),
        (b"<htmlx>", None),
        (b"<html", None),
        (b"<!---->" * 40 + b"x", None),
        (b"\0\0\0\x18ftypmp42", None),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"", None),
    ],
)
def test_what_stands_in_the_place_of_media_is_seen(beginning: bytes, meaning: str | None) -> None:
    assert not_media(beginning) == meaning


@pytest.mark.parametrize(
    "piece", [b"<!---->", b"<!-- ", b" ", b"-->", b"<", b"<?xml ?>", b"<?xml ", b"<!--><!-- -", b"<!----> "]
)
@pytest.mark.parametrize("end", [b"", b"x", b"<html>", b"<!--"])
def test_no_beginning_takes_long_to_be_judged(piece: bytes, end: bytes) -> None:
    with limited(0.3):
        for length in (40 * len(piece), ENOUGH - len(end), 1 << 20):
            assert not_media((piece * length)[:length] + end) != "media"
