"""What a file is served as: known media by their names, and nothing that a browser might run."""

import pytest

from secondunit.handlers.tools.storage.content_types import OTHER, content_type_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("master.m3u8", "application/vnd.apple.mpegurl"),
        ("v1/segment.TS", "video/mp2t"),
        ("a.b.m4s", "video/iso.segment"),
        ("job.log", "text/plain; charset=utf-8"),
        ("film.webm", "video/webm"),
        ("sprite.vtt", "text/vtt; charset=utf-8"),
        ("sound.mp3", "audio/mpeg"),
        ("picture.JPG", "image/jpeg"),
    ],
)
def test_media_have_their_own_types(name: str, kind: str) -> None:
    assert content_type_of(name) == kind


@pytest.mark.parametrize(
    "name", ["a.html", "a.HTM", "a.svg", "a.js", "a.css", "a.xhtml", "a.pdf", "a", ".mp4", "a.mp4.", ""]
)
def test_what_a_browser_might_run_or_nobody_knows_is_data(name: str) -> None:
    assert content_type_of(name) == OTHER
