from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.hls import handler as hls
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.queue.errors import BadPayload
from secondunit.queue.outcome import Deterministic
from secondunit.queue.validation import validated
from tests.media.beats import run
from tests.media.samples import SAMPLES

pytestmark = pytest.mark.media


async def refusal(studio: Any, clip: Path, **options: Any) -> Any:
    with pytest.raises(Deterministic) as refused:
        await studio.hls(clip, **options)
    assert not (studio.root / "out").exists()
    assert [path.name for path in (studio.root / ".secondunit").rglob("*")] == []
    return refused.value.type, str(refused.value)


async def test_sound_alone_is_refused(studio: Any, clips: Callable[[str], Path]) -> None:
    kind, message = await refusal(studio, clips("sound only.m4a"))
    assert kind == "audio_only" and "sound only.m4a" in message


async def test_a_song_with_a_cover_picture_is_no_video(studio: Any) -> None:
    assert (await refusal(studio, SAMPLES / "audio" / "withcover.mp3"))[0] == "audio_only"


async def test_a_film_in_av1_is_encoded_or_the_decoder_is_said_to_be_missing(
    studio: Any, media: Media, clips: Callable[[str], Path]
) -> None:
    clip = clips("av1.mp4")
    if run([media.ffmpeg, "-v", "quiet", "-max_error_rate", 1, "-i", clip, "-f", "rawvideo", "-"]).stdout:
        assert (await studio.hls(clip, qualities=["144p"]))["duration"] == pytest.approx(2, abs=0.1)
        return
    kind, message = await refusal(studio, clip)
    assert kind == "unreadable" and "no decoder for AV1; install ffmpeg" in message
    with pytest.raises(Deterministic, match="no decoder for AV1; install ffmpeg"):
        await studio.thumbnail(clip)


@pytest.mark.parametrize("picture", ["demo.jpg", "demo.png", "demo.tif", "demo.bmp"])
async def test_a_picture_is_not_a_video(studio: Any, picture: Any) -> None:
    assert (await refusal(studio, SAMPLES / "image" / picture))[0] == "not_a_video"


@pytest.mark.parametrize(
    ("name", "content", "type", "words"),
    [
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(999), "not_a_video", "a picture (HEIF)"),
        ("moves.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(99), "not_a_video", "a picture"),
        ("words.srt", b"1\n00:00:01,000 --> 00:00:40,000\nto be continued\n", "unreadable", "of the format srt"),
        ("nothing.mp4", b"", "unreadable", "nothing.mp4 is empty"),
        ("paper.pdf", b"%PDF-1.4\n" + bytes(99), "unreadable", "paper.pdf can't be read"),
    ],
)
async def test_what_is_no_video_is_called_what_it_is(
    studio: Any, tmp_path: Path, name: str, content: bytes, type: str, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    kind, message = await refusal(studio, tmp_path / name)
    assert kind == type and words in message and "0x" not in message


@pytest.mark.parametrize("sound", ["demo.aif", "demo.wv", "demo.opus"])
async def test_any_sound_is_only_that(studio: Any, sound: str) -> None:
    assert (await refusal(studio, SAMPLES / "audio" / sound))[0] == "audio_only"


async def test_a_cut_off_video_is_found_out_although_ffmpeg_is_content(
    studio: Any, clips: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = clips("long.mp4").read_bytes()
    clip = tmp_path / "cut.mp4"
    clip.write_bytes(whole[: len(whole) // 2])
    kind, message = await refusal(studio, clip)
    assert kind == "input_truncated" and "20.0 s" in message


@pytest.mark.parametrize("content", [b"", b"nothing of a video" * 99, b"\0\0\0\x20ftypisom" + b"\0" * 999])
async def test_what_is_no_media_is_unreadable(studio: Any, tmp_path: Path, content: Any) -> None:
    clip = tmp_path / "broken.mp4"
    clip.write_bytes(content)
    kind, message = await refusal(studio, clip)
    assert kind == "unreadable" and "broken.mp4" in message and "/proc/" not in message


async def test_a_video_without_its_index_is_unreadable(
    studio: Any, clips: Callable[[str], Path], tmp_path: Path
) -> None:
    clip = tmp_path / "no index.mp4"
    clip.write_bytes(clips("plain.mp4").read_bytes()[:20_000])
    kind, message = await refusal(studio, clip)
    assert kind == "unreadable" and "moov atom not found" in message


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n", "ffconcat version 1.0\nfile {}\n"]
)
async def test_a_playlist_in_disguise_reaches_no_other_file(
    studio: Any, clips: Callable[[str], Path], tmp_path: Path, text: Any
) -> None:
    clip = tmp_path / "disguised.mp4"
    clip.write_text(text.format(studio.put(clips("plain.mp4"))))
    assert (await refusal(studio, clip))[0] == "unreadable"


async def test_a_missing_source_is_said_to_be_missing(studio: Any, clips: Callable[[str], Path]) -> None:
    spec = hls.build(studio.tools)
    payload = {"inputPath": str(studio.root / "gone.mp4"), "outputDir": str(studio.root / "out")}
    with pytest.raises(Deterministic) as refused:
        await spec.run(studio.context(), validated(spec, payload))
    assert refused.value.type == "source_missing"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("qualities", ["720"]),
        ("qualities", []),
        ("qualities", ["000p"]),
        ("qualities", "720p"),
        ("segmentType", "webm"),
        ("inputPath", "relative.mp4"),
        ("outputDir", "/etc/hls"),
        ("speed", 2),
    ],
)
async def test_a_wrong_payload_is_refused_by_its_field(studio: Any, field: Any, value: Any) -> None:
    payload = {"inputPath": str(studio.root / "a.mp4"), "outputDir": str(studio.root / "out"), field: value}
    with pytest.raises(BadPayload) as refused:
        validated(hls.build(studio.tools), payload)
    assert [error.field.split(".")[1] for error in refused.value.errors] == [field]
