"""Playlists as they are read, measured, judged and described."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.hls.plan import HlsPlan, Rate, Rendition
from secondunit.handlers.hls.playlists import MediaSegment, Playlist, Unfinished, avc_codec, master, read, variants
from secondunit.handlers.tools.media.probe import Audio, Video

VIDEO = Video(0, "h264", 1280, 720, Fraction(1), 0, Fraction(25), Fraction(25), "yuv420p", "", "", False)
HEADER = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n"


def playlist(*segments: Any, name: Any = "720p", codecs: Any = "avc1.64001f") -> Any:
    cut = tuple(MediaSegment(f"{i}.m4s", seconds, size) for i, (seconds, size) in enumerate(segments))
    return Playlist(name, cut, codecs, 999)


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    home = tmp_path / "720p"
    home.mkdir()
    (home / "init.mp4").write_bytes(b"....avcC\x01\x64\x00\x1f\xff")
    (home / "0.m4s").write_bytes(b"x" * 600)
    (home / "1.m4s").write_bytes(b"x" * 100)
    text = '#EXT-X-MAP:URI="init.mp4"\n#EXTINF:6.000000,\n0.m4s\n#EXTINF:1.500000,\n1.m4s\n#EXT-X-ENDLIST\n'
    (home / "index.m3u8").write_text(HEADER + text)
    return home


def test_a_playlist_is_read_with_the_sizes_of_its_files(folder: Path) -> None:
    found = read(folder.parent, "720p")
    assert found.segments == (MediaSegment("0.m4s", 6.0, 600), MediaSegment("1.m4s", 1.5, 100))
    assert (found.codecs, found.duration, found.init) == ("avc1.64001f", 7.5, "init.mp4")
    assert found.size == sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize(
    ("harm", "nothing"),
    [
        (lambda home: (home / "index.m3u8").unlink(), True),
        (lambda home: (home / "index.m3u8").write_text(HEADER + "#EXT-X-ENDLIST\n"), True),
        (lambda home: (home / "1.m4s").unlink(), False),
        (lambda home: (home / "1.m4s").write_bytes(b""), False),
        (lambda home: (home / "init.mp4").write_bytes(b"no parameters"), False),
        (lambda home: (home / "index.m3u8").write_text(HEADER + "#EXTINF:6.0,\n0.m4s\n"), False),
    ],
)
def test_an_unfinished_playlist_is_refused(folder: Path, harm: Any, nothing: Any) -> None:
    harm(folder)
    with pytest.raises(Unfinished) as refused:
        read(folder.parent, "720p")
    assert refused.value.nothing is nothing


def test_codecs_come_from_the_first_parameters_of_either_kind_of_segment() -> None:
    assert avc_codec(b"\0\0\0\x30avcC\x01\x4d\x40\x1e\xff") == "avc1.4d401e"
    assert avc_codec(b"G\x41\x00\x30\0\0\0\x01\x09\xf0\0\0\0\x01\x67\x64\x00\x0a\xac") == "avc1.64000a"


def test_the_peak_is_the_largest_run_of_between_half_and_one_and_a_half_target_durations() -> None:
    even = playlist((6, 6000), (6, 12000), (6, 6000))
    assert (even.peak, even.average) == (16000, pytest.approx(10666.67, abs=0.01))
    with_a_short_end = playlist((6, 6000), (6, 6000), (0.04, 5000))
    assert with_a_short_end.peak == pytest.approx(8 * 11000 / 6.04)
    assert playlist((0.5, 1000)).peak == 16000


def test_the_master_describes_measured_renditions_largest_first() -> None:
    rungs = (Rendition("480p", 854, 480, 1400), Rendition("720p", 1280, 720, 2800))
    plan = HlsPlan(VIDEO, Audio(1, "aac", 2), Rate(Fraction(30000, 1001), False), rungs, "fmp4")
    sound = playlist((6, 96000), name="audio", codecs="mp4a.40.2")
    small = playlist((6, 300_000), name="480p", codecs="avc1.64001e")
    lines = variants(plan, [small, playlist((6, 750_000), (2, 200_000))], sound)
    frames = {name: playlist((2, 5000), (2, 2500), name=name) for name in ("720p", "480p")}
    assert master(plan, lines, frames) == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        'URI="audio/index.m3u8"\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=1128000,AVERAGE-BANDWIDTH=1078000,RESOLUTION=1280x720,FRAME-RATE=29.970,"
        'CODECS="avc1.64001f,mp4a.40.2",AUDIO="aud",CLOSED-CAPTIONS=NONE\n720p/index.m3u8\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=528000,AVERAGE-BANDWIDTH=528000,RESOLUTION=854x480,FRAME-RATE=29.970,"
        'CODECS="avc1.64001e,mp4a.40.2",AUDIO="aud",CLOSED-CAPTIONS=NONE\n480p/index.m3u8\n'
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=20000,AVERAGE-BANDWIDTH=15000,RESOLUTION=1280x720,"
        'CODECS="avc1.64001f",URI="720p/iframes.m3u8"\n'
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=20000,AVERAGE-BANDWIDTH=15000,RESOLUTION=854x480,"
        'CODECS="avc1.64001f",URI="480p/iframes.m3u8"\n'
    )
