"""What ffmpeg and ffprobe say, and what it means: streams, failures, progress, timestamps."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.thumbnail.timestamps import At, Auto, Share, moments
from secondunit.handlers.thumbnail.timestamps import parse as timestamp
from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing, failure, find_media, require
from secondunit.handlers.tools.media.probe import parse, pictures
from secondunit.handlers.tools.media.progress import follow
from secondunit.handlers.tools.programs.ports import Finished
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.errors import TypeUnavailable
from secondunit.queue.outcome import Deterministic, Transient

SOURCE = Source("film.mp4", Path("/proc/self/fd/9"), 9, 1000, "id")


def stream(**fields: Any) -> Any:
    usual = {"index": 0, "codec_type": "video", "codec_name": "h264", "width": 1440, "height": 1080}
    return usual | {"avg_frame_rate": "25/1", "r_frame_rate": "25/1"} | fields


def report(*streams: Any, format_name: str = "mov,mp4", **container: Any) -> Any:
    return parse(json.dumps({"streams": streams, "format": {"format_name": format_name, **container}}))


def test_the_first_moving_picture_and_the_first_sound_are_taken() -> None:
    cover = stream(codec_name="mjpeg", disposition={"attached_pic": 1})
    sound = {"index": 1, "codec_type": "audio", "codec_name": "aac", "channels": 6}
    found = report(cover, sound, stream(index=2, sample_aspect_ratio="4:3"), stream(index=3), duration="60.5")
    assert found.video and found.audio
    assert (found.video.index, found.audio.index, found.duration) == (2, 1, 60.5)
    assert found.video.display == (1920, 1080)


@pytest.mark.parametrize("turn", [90, -90, 270, 89.9])
def test_a_turned_picture_swaps_its_sides(turn: Any) -> None:
    found = report(stream(side_data_list=[{"rotation": turn}])).video
    assert found and found.display == (1080, 1440)


@pytest.mark.parametrize("aspect", ["0:1", "1:0", "N/A", "1:1000", None, "nonsense"])
def test_a_broken_pixel_aspect_is_square(aspect: Any) -> None:
    found = report(stream(sample_aspect_ratio=aspect)).video
    assert found and found.aspect == Fraction(1)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (report(stream(codec_name="mjpeg"), format_name="jpeg_pipe"), "not_a_video"),
        (report(stream(codec_name="hevc"), tags={"major_brand": "heic"}), "not_a_video"),
        (report({"index": 0, "codec_type": "audio", "codec_name": "aac", "channels": 2}), "audio_only"),
        (report(stream(codec_name="unknown")), "unreadable"),
        (report(stream(width=0)), "unreadable"),
        (report(), "unreadable"),
    ],
)
def test_what_can_not_be_shown_is_refused_in_its_own_words(found: Any, kind: Any) -> None:
    with pytest.raises(Deterministic) as refused:
        pictures(found, "film.mp4")
    assert refused.value.type == kind


@pytest.mark.parametrize(
    ("returncode", "stderr", "attempt", "error", "kind"),
    [
        (1, "file:/proc/self/fd/9: Invalid data found when processing input", 1, Deterministic, "unreadable"),
        (1, "[mov] moov atom not found", 1, Deterministic, "unreadable"),
        (1, "Decoder (codec none) not found for input stream #0:0", 1, Deterministic, "unreadable"),
        (1, "Decoder (codec av1) not found for input stream #0:0", 1, Deterministic, "unreadable"),
        (1, "[x] Decoding requested, but no decoder found for: png", 1, Deterministic, "unreadable"),
        (1, "no decoder found for: png\nNo space left on device", 1, Transient, "disk_full"),
        (1, "Format not on whitelist 'mov'", 1, Deterministic, "unreadable"),
        (228, "av_interleaved_write_frame(): No space left on device", 1, Transient, "disk_full"),
        (1, "Invalid data found\nCannot allocate memory", 1, Transient, "out_of_memory"),
        (-9, "", 1, Transient, "killed"),
        (-11, "", 2, Deterministic, "killed"),
        (-15, "", 5, Transient, "killed"),
        (1, "something new", 1, Deterministic, "unreadable"),
        (1, "[mp3] Failed to read frame size\nr.mp3: Invalid argument", 1, Deterministic, "unreadable"),
        (1, "film.mp4: Input/output error", 1, Transient, "io_error"),
        (1, "Stale file handle", 3, Transient, "io_error"),
        (1, "pthread_create failed: Resource temporarily unavailable", 1, Transient, "io_error"),
        (127, "ffmpeg: error while loading shared libraries: libx264.so", 1, Transient, "program_failed"),
    ],
)
def test_a_failure_says_whether_trying_again_helps(
    returncode: Any, stderr: Any, attempt: Any, error: Any, kind: Any
) -> None:
    problem = failure("ffmpeg", Finished(returncode, stderr), SOURCE, attempt)
    assert isinstance(problem, error) and problem.type == kind
    assert "film.mp4" in str(problem) and "/proc/" not in str(problem)


class Heard(list[tuple[float, str]]):
    async def report(self, fraction: float, message: str) -> None:
        self.append((round(fraction, 3), message))


async def test_progress_follows_the_time_of_the_output_and_stops_at_99() -> None:
    heard = Heard()
    hear = follow(heard.report, 60.0)
    for line in ["out_time_us=N/A", "speed=N/A", "out_time_us=12000000", "speed=3.1x", "out_time_us=61000000"]:
        await hear(line)
    assert heard == [(0.198, "12.0 s of 60.0 s"), (0.99, "61.0 s of 60.0 s, 3.1x")]


async def test_progress_may_be_of_a_part_of_the_whole() -> None:
    heard = Heard()
    hear = follow(heard.report, 60.0, (0.8, 0.99), "once more, ")
    for line in ["out_time_us=30000000", "out_time_us=61000000"]:
        await hear(line)
    assert heard == [(0.895, "once more, 30.0 s of 60.0 s"), (0.99, "once more, 61.0 s of 60.0 s")]


async def test_an_encode_that_prints_but_stands_still_reports_nothing() -> None:
    heard = Heard()
    hear = follow(heard.report, None)
    for line in ("out_time_us=2000000", "out_time_us=2000000", "frame=60", "out_time_us=2000000"):
        await hear(line)
    assert heard == [(0.0, "2.0 s")]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("00:00:01", At(1)),
        ("01:02:03.5", At(3723.5)),
        ("2:03", At(123)),
        ("90", At(90)),
        ("1.25", At(1.25)),
        (2, At(2)),
        ("25%", Share(0.25)),
        ("12.5%", Share(0.125)),
        ("auto", Auto()),
    ],
)
def test_a_timestamp_is_read(text: Any, meant: Any) -> None:
    assert timestamp(text) == meant


@pytest.mark.parametrize("text", ["", "soon", "-1", "1:60", "1:2:3:4", "200%", "1e9", "nan", -1, float("inf"), "٣"])
def test_nonsense_is_no_timestamp(text: Any) -> None:
    with pytest.raises(ValueError, match=r"timestamp|number of seconds|whole video"):
        timestamp(text)


def test_a_timestamp_means_moments_to_try() -> None:
    assert moments(At(500), 60) == (500,) and moments(Share(0.5), 0.3) == (0.15,) and moments(Share(1), None) == (0,)
    assert moments(Auto(), 100) == (10, 25, 50, 75)
    assert moments(Auto(), None) == (10, 3, 1, 0) and moments(At(7), None) == (7,)


class Silent:
    async def run(self, argv: Any, **_: Any) -> Any:
        raise Deterministic(f"can't run {argv[0]}", type="program_missing")


async def test_a_configured_program_that_does_not_run_is_reported_and_not_replaced(tmp_path: Path) -> None:
    found = await find_media(Silent(), "/nowhere/ffmpeg", "/nowhere/ffprobe", "", tmp_path)
    assert isinstance(found, MediaMissing) and "FFMPEG_PATH" in found.remedy and "/nowhere/" in found.remedy


class Talkative:
    """Answers like ffmpeg: a list to stdout, and its banner to stderr unless that is not wanted."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def run(self, argv: Any, **given: Any) -> Any:
        self.asked.append(argv)
        await given["on_line"](f" V..... {argv[-1].strip('-')} what it is\n")
        banner = "ffmpeg version 7.1 Copyright (c) 2000\n  built with gcc 12\n  configuration: --enable-gpl\n"
        return Finished(0, "" if "-hide_banner" in argv else banner)


async def test_the_version_is_read_from_the_banner_and_costs_no_program_of_its_own(tmp_path: Path) -> None:
    programs = Talkative()
    found = await find_media(programs, "/x/ffmpeg", "/x/ffprobe", "", tmp_path)
    encoders, filters, decoders = (frozenset({name}) for name in ("encoders", "filters", "decoders"))
    assert found == Media("/x/ffmpeg", "/x/ffprobe", "7.1", encoders, filters, False, decoders)
    assert len(programs.asked) == 5


class Slow(Talkative):
    """Does not answer in time the first `times` that it is asked."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    async def run(self, argv: Any, **given: Any) -> Any:
        answer = await super().run(argv, **given)
        if self.left:
            self.left -= 1
            raise TimeoutError("ffprobe ran longer than 0:00:30")
        return answer


async def test_one_that_is_slow_while_the_machine_boots_is_not_missing_from_then_on(tmp_path: Path) -> None:
    found = await find_media(Slow(1), "/x/ffmpeg", "/x/ffprobe", "", tmp_path)
    assert isinstance(found, Media) and found.encoders == {"encoders"}
    still = await find_media(Slow(2), "/x/ffmpeg", "/x/ffprobe", "", tmp_path)
    assert isinstance(still, MediaMissing) and "ran longer" in still.why


def test_a_type_without_its_ffmpeg_is_unavailable_and_says_what_to_do() -> None:
    with pytest.raises(TypeUnavailable, match="apt install"):
        require(MediaMissing("apt install ffmpeg"), "hls", (), ())
    bare = Media("/x/ffmpeg", "/x/ffprobe", "8.1", frozenset({"aac"}), frozenset({"scale"}), False)
    with pytest.raises(TypeUnavailable, match="built without libx264"):
        require(bare, "hls", ("libx264", "aac"), ("scale",))
