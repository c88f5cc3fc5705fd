"""The thumbnail job over real media; pictures are judged by Pillow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.thumbnail import handler as thumbnail
from secondunit.queue.errors import BadPayload
from secondunit.queue.outcome import Deterministic
from secondunit.queue.validation import validated
from tests.media.samples import SAMPLES

pytestmark = pytest.mark.media


def seen(path: object) -> tuple[str | None, tuple[int, int], float]:
    """Format, size and mean brightness of a picture."""
    from PIL import Image, ImageStat

    with Image.open(str(path)) as picture:
        return picture.format, picture.size, ImageStat.Stat(picture.convert("L")).mean[0]


def brightness(path: object) -> float:
    return seen(path)[2]


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.webp", "WEBP"), ("a.avif", "AVIF"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.png", "PNG")],
)
async def test_the_name_of_the_output_says_the_format(studio: Any, bunny: Path, name: Any, format: Any) -> None:
    result = await studio.thumbnail(bunny, to=name)
    assert seen(studio.root / name)[:2] == (format, (320, 180))
    assert result == {
        "outputPath": str(studio.root / name),
        "width": 320,
        "height": 180,
        "size": (studio.root / name).stat().st_size,
        "timestamp": 1.0,
    }


async def test_a_lower_quality_makes_a_smaller_file(studio: Any, bunny: Path) -> None:
    low = await studio.thumbnail(bunny, to="low.webp", quality=10)
    high = await studio.thumbnail(bunny, to="high.webp", quality=95)
    assert low["size"] < high["size"] / 2


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("00:00:02.5", 2.5),
        ("3", 3.0),
        (3, 3.0),
        (0.25, 0.25),
        ("0:04", 4.0),
        ("25%", 5.0),
        ("100%", 19.958),
        ("01:00:00", 19.958),
    ],
)
async def test_a_timestamp_is_a_clock_time_a_number_or_a_share(
    studio: Any, clips: Callable[[str], Path], asked: Any, taken: Any
) -> None:
    result = await studio.thumbnail(clips("long.mp4"), timestamp=asked)
    assert result["timestamp"] == pytest.approx(taken, abs=0.02)


async def test_the_picture_is_the_one_of_that_moment(studio: Any, clips: Callable[[str], Path]) -> None:
    early = await studio.thumbnail(clips("black start.mp4"), to="early.png", timestamp=1)
    late = await studio.thumbnail(clips("black start.mp4"), to="late.png", timestamp=4)
    assert brightness(early["outputPath"]) < 5
    assert brightness(late["outputPath"]) > 50


async def test_auto_passes_over_black_pictures(studio: Any, clips: Callable[[str], Path]) -> None:
    result = await studio.thumbnail(clips("black start.mp4"), timestamp="auto")
    assert result["timestamp"] == 4.0
    assert brightness(result["outputPath"]) > 50


async def test_auto_takes_what_there_is_of_a_black_video(studio: Any, clips: Callable[[str], Path]) -> None:
    result = await studio.thumbnail(clips("all black.mp4"), timestamp="auto")
    assert brightness(result["outputPath"]) < 5


@pytest.mark.parametrize(
    ("clip", "width", "size"),
    [
        ("tiny.mp4", 320, (176, 144)),
        ("odd.mkv", 320, (175, 142)),
        ("squeezed.mp4", 256, (256, 144)),
        ("portrait.mp4", 90, (90, 160)),
        ("woven.mpg", 320, (320, 180)),
    ],
)
async def test_a_thumbnail_is_upright_and_never_enlarged(
    studio: Any, clips: Callable[[str], Path], clip: str, width: Any, size: Any
) -> None:
    result = await studio.thumbnail(clips(clip), width=width, timestamp=0)
    assert (result["width"], result["height"]) == size
    assert seen(result["outputPath"])[1] == size


@pytest.mark.parametrize("clip", ["hdr.mkv", "hlg untagged.mkv"])
async def test_hdr_is_brought_to_sdr(studio: Any, clips: Callable[[str], Path], clip: str) -> None:
    result = await studio.thumbnail(clips(clip), timestamp=0)
    assert 40 < brightness(result["outputPath"]) < 220


async def test_where_the_file_is_cut_off_the_last_picture_before_that_is_taken(
    studio: Any, clips: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = clips("long.mp4").read_bytes()
    clip = tmp_path / "cut.mp4"
    clip.write_bytes(whole[: len(whole) // 4])
    assert 4 < (await studio.thumbnail(clip, timestamp="15"))["timestamp"] < 6


async def test_a_video_without_one_whole_picture_is_refused(
    studio: Any, clips: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = clips("long.mp4").read_bytes()
    clip = tmp_path / "empty.mp4"
    clip.write_bytes(whole[: whole.index(b"mdat") + 4])
    with pytest.raises(Deterministic) as refused:
        await studio.thumbnail(clip)
    assert refused.value.type == "no_decodable_frame"
    assert not (studio.root / "thumb.png").exists()


@pytest.mark.parametrize(
    ("sample", "kind"),
    [("audio/withcover.mp3", "audio_only"), ("image/demo.png", "not_a_video"), ("text/demo.pdf", "unreadable")],
)
async def test_what_is_no_video_is_refused_in_its_own_words(studio: Any, sample: Any, kind: Any) -> None:
    with pytest.raises(Deterministic) as refused:
        await studio.thumbnail(SAMPLES / sample)
    assert refused.value.type == kind


@pytest.mark.slow
@pytest.mark.parametrize("suffix", "3gp asf avi f4v flv gif m1v m4v mkv mov mp4 mpeg ogv rm swf vob webm wmv".split())
async def test_every_container_gives_a_picture(studio: Any, suffix: Any) -> None:
    result = await studio.thumbnail(SAMPLES / "video" / f"demo.{suffix}", timestamp="auto")
    assert result["size"] > 0
    # Flash can't be sought in, so there it is always the first picture, a black one.
    assert suffix == "swf" or brightness(result["outputPath"]) > 10


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timestamp", "soon"),
        ("timestamp", "-5"),
        ("timestamp", -5),
        ("timestamp", "00:99:00"),
        ("timestamp", "101%"),
        ("timestamp", True),
        ("timestamp", "1e3"),
        ("timestamps", []),
        ("timestamps", [1, "auto"]),
        ("width", 0),
        ("width", 100_000),
        ("width", "320"),
        ("quality", 0),
        ("quality", 101),
        ("sprite", {"columns": 0}),
        ("sprite", {"rows": 101}),
        ("sprite", {"width": 8}),
        ("sprite", {"height": 90}),
        ("sprite", {"columns": 26, "rows": 20}),
        ("sprite", {"columns": 60, "rows": 1}),
        ("sprite", {"columns": 20, "rows": 20, "width": 640}),
        ("outputPath", "/etc/thumb.png"),
        ("height", 100),
    ],
)
async def test_a_wrong_payload_is_refused_by_its_field(studio: Any, field: Any, value: Any) -> None:
    payload = {"videoPath": str(studio.root / "a.mp4"), "outputPath": str(studio.root / "a.png"), field: value}
    with pytest.raises(BadPayload) as refused:
        validated(thumbnail.build(studio.tools), payload)
    assert {error.field.split(".")[1] for error in refused.value.errors} == {field}


@pytest.mark.parametrize("name", ["thumb", "thumb.gif", "thumb.mp4", ".png"])
async def test_a_name_without_a_known_format_is_refused(studio: Any, name: Any) -> None:
    payload = {"videoPath": str(studio.root / "a.mp4"), "outputPath": str(studio.root / name)}
    with pytest.raises(BadPayload, match=r"outputPath.*\.webp"):
        validated(thumbnail.build(studio.tools), payload)


@pytest.mark.parametrize("name", ["a.png", "{n}/a.png", "{n}-{n}.png"])
async def test_a_list_of_moments_needs_one_place_for_their_number(studio: Any, name: Any) -> None:
    payload = {"videoPath": str(studio.root / "a.mp4"), "outputPath": str(studio.root / name), "timestamps": [1, 2]}
    with pytest.raises(BadPayload, match=r"outputPath.*\{n\}"):
        validated(thumbnail.build(studio.tools), payload)


async def test_the_pictures_of_a_list_are_served_by_their_names(studio: Any) -> None:
    spec = thumbnail.build(studio.tools)
    assert spec.artifacts({"outputs": [{"outputPath": "/m/1.png"}, {"outputPath": "/m/2.png"}]}) == {
        "1.png": "/m/1.png",
        "2.png": "/m/2.png",
    }
    assert spec.artifacts({"outputPath": "/m/a.png"}) == {"a.png": "/m/a.png"} and spec.artifacts(None) == {}
