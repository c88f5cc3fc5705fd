import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.queue.outcome import Deterministic
from tests.media.samples import SAMPLES

pytestmark = pytest.mark.media
ALL = ["2160p", "1440p", "1080p", "720p", "480p", "360p", "240p", "144p"]


def sizes(result: Any) -> Any:
    return [(rung["width"], rung["height"]) for rung in result["renditions"]]


def snapshot(folder: Path) -> Any:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


async def test_a_film_becomes_a_ladder_with_one_audio_rendition(
    studio: Any, bunny: Path, judge: Callable[..., Any]
) -> None:
    ctx = studio.context()
    result = await studio.hls(bunny, ctx=ctx)
    assert sizes(result) == [(1280, 720), (854, 480)]
    assert [rung["name"] for rung in result["renditions"]] == ["720p", "480p"]
    understood = judge(result)
    assert [v["resolution"] for v in understood["variants"]] == [
        {"width": 1280, "height": 720},
        {"width": 854, "height": 480},
    ]
    assert [v["bandwidth"] for v in understood["variants"]] == [r["bandwidth"] for r in result["renditions"]]
    assert all(v["frameRate"] == 25 and v["codecs"].endswith(",mp4a.40.2") for v in understood["variants"])
    assert all(v["audio"][0]["name"] == "audio" and v["audio"][0]["channels"] == "2" for v in understood["variants"])
    assert result["duration"] == pytest.approx(5.3, abs=0.15)
    files = [path for path in (studio.root / "out").rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert result["size"] == sum(path.stat().st_size for path in files)
    assert result["segments"] == sum(path.suffix == ".m4s" for path in files)
    assert ctx.reports[-1][0] <= 0.99 and "s of 5.3 s" in ctx.reports[-1][1]


async def test_segments_may_be_transport_streams(
    studio: Any, clips: Callable[[str], Path], judge: Callable[..., Any]
) -> None:
    result = await studio.hls(clips("long.mp4"), segmentType="ts", qualities=["360p", "144p"])
    understood = judge(result)
    assert [v["durations"] for v in understood["variants"]] == [[6, 6, 6, 2]] * 2
    assert all(v["init"] is None and v["uris"][0].endswith(".ts") for v in understood["variants"])
    assert all(rung["codecs"].startswith("avc1.6400") for rung in result["renditions"])


async def test_segments_are_six_seconds_and_begin_with_a_key_frame(
    studio: Any, clips: Callable[[str], Path], judge: Callable[..., Any], look: Callable[..., Any]
) -> None:
    result = await studio.hls(clips("long.mp4"), qualities=["180p", "144p"])
    understood = judge(result)
    assert [v["durations"] for v in understood["variants"]] == [[6, 6, 6, 2]] * 2
    assert understood["variants"][0]["init"].startswith("init")
    assert look(Path(result["renditions"][0]["path"]))["profile"] == "High"


@pytest.mark.parametrize(
    ("clip", "qualities", "expected"),
    [
        ("plain.mp4", None, [(320, 180)]),
        ("plain.mp4", ALL, [(320, 180), (256, 144)]),
        ("tiny.mp4", ALL, [(176, 144)]),
        ("odd.mkv", ALL, [(174, 142)]),
        ("squeezed.mp4", ["720p", "240p"], [(512, 288), (428, 240)]),
        ("portrait.mp4", ["1080p", "240p"], [(1080, 1920), (240, 428)]),
        ("silent.mp4", ["144p"], [(256, 144)]),
    ],
)
async def test_renditions_fit_their_boxes_and_are_never_enlarged(
    studio: Any,
    clips: Callable[[str], Path],
    judge: Callable[..., Any],
    look: Callable[..., Any],
    clip: str,
    qualities: Any,
    expected: Any,
) -> None:
    result = await studio.hls(clips(clip), **({"qualities": qualities} if qualities else {}))
    assert sizes(result) == expected
    judge(result)
    for rung in result["renditions"]:
        stream = look(Path(rung["path"]))
        assert (stream["width"], stream["height"]) == (rung["width"], rung["height"])
        assert stream["pix_fmt"] == "yuv420p" and stream.get("sample_aspect_ratio", "1:1") == "1:1"


async def test_ffmpeg_and_ffprobe_may_be_anywhere(
    studio: Any, media: Media, clips: Callable[[str], Path], tmp_path: Path
) -> None:
    moved = [shutil.copy(path, tmp_path / Path(path).name) for path in (media.ffmpeg, media.ffprobe)]
    elsewhere = replace(media, ffmpeg=str(moved[0]), ffprobe=str(moved[1]))
    result = await replace(studio, tools=replace(studio.tools, media=elsewhere)).hls(clips("tiny.mp4"))
    assert sizes(result) == [(176, 144)]


async def test_a_silent_video_has_no_audio_group(
    studio: Any, clips: Callable[[str], Path], judge: Callable[..., Any]
) -> None:
    result = await studio.hls(clips("silent.mp4"))
    assert all(v["audio"] == [] and v["codecs"] == result["renditions"][0]["codecs"] for v in judge(result)["variants"])
    assert "mp4a" not in result["renditions"][0]["codecs"]
    assert not (studio.root / "out" / "audio").exists()


async def test_a_turned_video_is_set_upright(
    studio: Any, clips: Callable[[str], Path], look: Callable[..., Any], judge: Callable[..., Any], tmp_path: Path
) -> None:
    clip = tmp_path / "turned.mp4"
    clip.write_bytes(quarter_turned(clips("plain.mp4").read_bytes()))
    result = await studio.hls(clip, qualities=["720p"])
    assert sizes(result) == [(180, 320)]
    judge(result)
    stream = look(Path(result["renditions"][0]["path"]))
    assert (stream["width"], stream["height"]) == (180, 320)
    assert not any("rotation" in side for side in stream.get("side_data_list", []))


@pytest.mark.parametrize(
    ("clip", "rate"), [("varying.mp4", 24000 / 1001), ("quick.mp4", 60), ("woven.mpg", 25), ("rich.mkv", 25)]
)
async def test_odd_rates_and_formats_come_out_steady_and_progressive(
    studio: Any, clips: Callable[[str], Path], judge: Callable[..., Any], look: Callable[..., Any], clip: str, rate: Any
) -> None:
    result = await studio.hls(clips(clip))
    assert judge(result)["variants"][0]["frameRate"] == pytest.approx(rate, abs=0.001)
    stream = look(Path(result["renditions"][0]["path"]))
    assert stream["pix_fmt"] == "yuv420p" and stream.get("field_order") in ("progressive", None)
    top, bottom = stream["avg_frame_rate"].split("/")
    assert int(top) / int(bottom) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("clip", ["hdr.mkv", "hlg untagged.mkv"])
async def test_hdr_is_brought_to_bt709(
    studio: Any, clips: Callable[[str], Path], look: Callable[..., Any], judge: Callable[..., Any], clip: str
) -> None:
    result = await studio.hls(clips(clip))
    judge(result)
    stream = look(Path(result["renditions"][0]["path"]))
    assert (stream["pix_fmt"], stream["color_transfer"], stream["color_space"]) == ("yuv420p", "bt709", "bt709")
    assert "Mastering display metadata" not in str(stream.get("side_data_list"))


async def test_asked_again_the_published_result_is_given(studio: Any, clips: Callable[[str], Path]) -> None:
    first = await studio.hls(clips("plain.mp4"))
    before = snapshot(studio.root / "out")
    again = studio.context(epoch=2)
    assert await studio.hls(clips("plain.mp4"), ctx=again) == first
    assert snapshot(studio.root / "out") == before and again.reports == []


@pytest.mark.parametrize("harm", ["remove", "shorten", "other options", "other source"])
async def test_what_no_longer_answers_the_request_is_made_anew(
    studio: Any, clips: Callable[[str], Path], judge: Callable[..., Any], harm: Any
) -> None:
    first = await studio.hls(clips("plain.mp4"))
    segment = Path(first["renditions"][0]["path"]).parent / "00000.m4s"
    options = {"qualities": ["144p"]} if harm == "other options" else {}
    match harm:
        case "remove":
            segment.unlink()
        case "shorten":
            segment.write_bytes(segment.read_bytes()[:-1])
        case "other source":
            shutil.copy(clips("silent.mp4"), studio.root / "plain.mp4.new")
            (studio.root / "plain.mp4.new").rename(studio.root / "plain.mp4")
    again = studio.context(epoch=2)
    result = await studio.hls(clips("plain.mp4"), ctx=again, **options)
    assert again.reports and judge(result)
    assert segment.exists()  # of other options, too: a player may still be reading the old master


async def test_a_folder_with_files_of_others_is_left_alone(studio: Any, clips: Callable[[str], Path]) -> None:
    (studio.root / "out").mkdir()
    (studio.root / "out" / "letter.txt").write_text("dear")
    with pytest.raises(Deterministic) as refused:
        await studio.hls(clips("plain.mp4"))
    assert refused.value.type == "output_not_ours"
    assert (studio.root / "out" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("name", ["a b", "100%d", 'it\'s "here"', "-y", "new\nline", "映画:1", "a/b/c"])
async def test_folders_and_files_may_have_any_name(
    studio: Any, clips: Callable[[str], Path], judge: Callable[..., Any], tmp_path: Path, name: Any
) -> None:
    clip = tmp_path / f"{name.replace('/', '-')}.mp4"
    shutil.copy(clips("tiny.mp4"), clip)
    result = await studio.hls(clip, to=f"{name} out")
    assert result["masterPath"] == f"{studio.root}/{name} out/master.m3u8"
    judge(result)


def quarter_turned(video: bytes) -> bytes:
    """The same MP4 with a display matrix that turns its picture by 90 degrees (ISO 14496-12, 8.3.2)."""
    place = video.index(b"tkhd") + 44
    turn = [0, 0x10000, 0, -0x10000, 0, 0, 180 << 16, 0, 0x40000000]
    matrix = b"".join(number.to_bytes(4, "big", signed=True) for number in turn)
    return video[:place] + matrix + video[place + 36 :]


OFTEN, SELDOM = "avi gif mkv mov mp4 webm".split(), "3gp asf f4v flv m1v m4v mpeg ogv rm swf vob wmv".split()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [*OFTEN, *(pytest.param(each, marks=pytest.mark.long) for each in SELDOM)])
async def test_a_film_in_any_container_is_encoded_whole(studio: Any, judge: Callable[..., Any], suffix: Any) -> None:
    result = await studio.hls(SAMPLES / "video" / f"demo.{suffix}", qualities=["144p"])
    judge(result)
    assert result["duration"] == pytest.approx(5 if suffix == "gif" else 60.1, abs=0.6)
