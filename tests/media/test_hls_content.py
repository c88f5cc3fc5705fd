"""What an hls job makes of damaged, cut-off, joined and oddly declared files: it judges what they hold."""

import asyncio
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.programs.ports import Finished, Programs
from secondunit.queue.outcome import Deterministic, Postponed, Transient
from tests.media.beats import BRIGHTNESS, film, joined, run

pytestmark = pytest.mark.media
DURATION = b"\x44\x89\x88"  # of Matroska's segment, a double in milliseconds (RFC 9559)
LOWEST = {"qualities": ["144p"]}
COPYABLE = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"


def zeroed(media: Media, clip: Path, stream: str, after: float, until: float = 1e9) -> Path:
    """The file with the packets of one stream from a moment on, or between two, as zeros."""
    entries = ["-show_entries", "packet=pts_time,size,pos", "-of", "csv=p=0"]
    said = run([media.ffprobe, "-v", "error", "-select_streams", stream, *entries, clip]).stdout.decode()
    content = bytearray(clip.read_bytes())
    for line in filter(None, said.splitlines()):
        at, size, place = line.split(",")[:3]
        if after < float(at) < until:
            content[int(place) : int(place) + int(size)] = bytes(int(size))
    clip.write_bytes(content)
    return clip


@pytest.mark.parametrize(("stream", "track"), [("v", "video"), pytest.param("a", "sound", marks=pytest.mark.long)])
@pytest.mark.parametrize("options", [pytest.param("", marks=pytest.mark.long), COPYABLE])
async def test_a_track_that_is_damaged_to_its_end_is_named(
    studio: Any, media: Media, tmp_path: Path, stream: str, track: str, options: str
) -> None:
    clip = zeroed(media, film(media, tmp_path / "film.mp4", 9, options, sound="stereo"), stream, 2)
    with pytest.raises(Deterministic) as refused:
        await studio.hls(clip, **LOWEST)
    assert refused.value.type == "input_truncated" and f"the {track} track of film.mp4" in str(refused.value)


@pytest.mark.parametrize(
    ("codec", "track"),
    [
        pytest.param("-c:a ac3", "sound", marks=pytest.mark.long),
        ("-c:v mpeg2video", "video"),
        ("-mpegts_start_pid 0x200", "video"),
    ],
)
async def test_a_track_that_goes_on_in_another_codec_or_under_another_number_is_named(
    studio: Any, media: Media, tmp_path: Path, codec: str, track: str
) -> None:
    first = film(media, tmp_path / "a.ts", 4, COPYABLE, sound="stereo")
    other = film(media, tmp_path / "b.ts", 5, f"{COPYABLE} {codec} -output_ts_offset 4", at=4, sound="stereo")
    with pytest.raises(Deterministic) as refused:
        await studio.hls(joined(tmp_path / "film.ts", first, other), **LOWEST)
    assert refused.value.type == "input_truncated" and f"the {track} track of film.ts" in str(refused.value)


async def test_a_codec_that_takes_what_follows_in_another_for_its_own_is_named(
    studio: Any, media: Media, tmp_path: Path
) -> None:
    first = film(media, tmp_path / "a.ts", 3, "-c:v mpeg2video -c:a ac3", sound="stereo")
    other = film(media, tmp_path / "b.ts", 5, "-c:a aac", at=3, sound="stereo")
    with pytest.raises(Deterministic) as refused:
        await studio.hls(joined(tmp_path / "film.ts", first, other), **LOWEST)
    assert refused.value.type == "input_truncated" and "the video track of film.ts" in str(refused.value)


async def test_a_part_of_a_file_that_is_lost_is_a_warning(studio: Any, media: Media, tmp_path: Path) -> None:
    clip = film(media, tmp_path / "film.mkv", 20, "")
    content = bytearray(clip.read_bytes())
    begin, end = (len(content) * share // 100 for share in (35, 60))
    content[begin:end] = bytes(end - begin)
    clip.write_bytes(content)
    warnings = (await studio.hls(clip, **LOWEST))["warnings"]
    assert "pause: film.mkv has neither picture nor sound from" in [warning[:50] for warning in warnings]


@pytest.mark.long
async def test_pictures_that_stand_still_for_want_of_others_are_a_warning_where_they_are_few(
    studio: Any, media: Media, tmp_path: Path
) -> None:
    clip = film(media, tmp_path / "film.mp4", 62, "")
    still = film(media, tmp_path / "still.mkv", 9, "-fps_mode vfr -filter:v select=not(between(t\\,3\\,7))")
    zeroed(media, clip, "v", 30, 33)
    warned = "undecodable: the video track of film.mp4 could not be decoded from 30.0 to 33.0 s"
    assert (await studio.hls(clip, **LOWEST))["warnings"] == [warned]
    assert (await studio.hls(still, to="still", **LOWEST))["warnings"] == []
    worse = zeroed(media, clip.rename(tmp_path / "worse.mp4"), "v", 20, 24)
    with pytest.raises(Deterministic) as refused:
        await studio.hls(worse, to="other", **LOWEST)
    assert refused.value.type == "input_truncated" and "from 20.0 to 24.0 s, from 30.0 to 33.0 s" in str(refused.value)


@pytest.mark.long
async def test_a_clock_that_starts_anew_where_none_may_is_a_warning(studio: Any, media: Media, tmp_path: Path) -> None:
    clip = joined(tmp_path / "film.mkv", film(media, tmp_path / "a.mkv", 4, ""), film(media, tmp_path / "b.mkv", 3, ""))
    warnings = (await studio.hls(clip, **LOWEST))["warnings"]
    assert [warning.split(" go back by")[0] for warning in warnings] == [
        f"clock_back: the times of the {track} track of film.mkv" for track in ("video", "sound")
    ]


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mkv", "subrip"), pytest.param("mp4", "mov_text", marks=pytest.mark.long)]
)
async def test_a_subtitle_that_outlasts_the_film_does_no_harm(
    studio: Any, media: Media, tmp_path: Path, suffix: Any, codec: Any
) -> None:
    film(media, tmp_path / "short.mkv", 9, "")
    (tmp_path / "words.srt").write_text("1\n00:00:01,000 --> 00:00:40,000\nto be continued\n")
    argv = [media.ffmpeg, "-v", "error", "-i", "short.mkv", "-i", "words.srt", "-map", "0", "-map", "1"]
    run([*argv, "-c", "copy", "-c:s", codec, f"film.{suffix}"], tmp_path)
    result = await studio.hls(tmp_path / f"film.{suffix}", **LOWEST)
    assert result["duration"] == pytest.approx(9, abs=0.1) and result["warnings"] == []


async def test_a_cover_that_is_called_a_film_and_an_empty_sound_track_are_passed_over(
    studio: Any, media: Media, tmp_path: Path
) -> None:
    film(media, tmp_path / "short.mkv", 3, "")
    argv = [
        media.ffmpeg,
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "color=s=300x300:d=0.04,format=yuvj420p",
        "-i",
        "short.mkv",
    ]
    argv += [*"-map 0 -map 1:a -map 1 -c copy -c:v:0 mjpeg -bsf:a:0 noise=drop=1".split(), "film.mkv"]
    run(argv, tmp_path)
    result = await studio.hls(tmp_path / "film.mkv", **LOWEST)
    assert result["renditions"][0]["width"] == 160 and result["sound"] and result["warnings"] == []


async def test_a_clock_that_starts_anew_makes_a_film_no_longer(studio: Any, media: Media, tmp_path: Path) -> None:
    parts = film(media, tmp_path / "a.ts", 4, ""), film(media, tmp_path / "b.ts", 5, "-output_ts_offset 5000", at=4)
    clip = joined(tmp_path / "film.ts", *parts)
    result = await studio.hls(clip, **LOWEST)
    assert result["duration"] == pytest.approx(9, abs=0.1) and result["warnings"] == []


async def test_a_declared_length_that_nothing_in_the_file_bears_out_is_a_warning(
    studio: Any, media: Media, tmp_path: Path
) -> None:
    clip = film(media, tmp_path / "film.mkv", 3, "")
    content = clip.read_bytes()
    place = content.index(DURATION) + len(DURATION)
    clip.write_bytes(content[:place] + struct.pack(">d", 90_000) + content[place + 8 :])
    result = await studio.hls(clip, **LOWEST)
    assert result["warnings"] == ["duration_short: film.mkv declares 90.0 s and holds 3.0 s"]


async def test_a_recording_that_begins_between_key_frames_shows_nothing_that_only_looks_like_a_picture(
    studio: Any, media: Media, tmp_path: Path
) -> None:
    clip = film(media, tmp_path / "film.ts", 6, "-c:v libx265 -x265-params log-level=error:keyint=75:scenecut=0")
    clip.write_bytes(clip.read_bytes()[188 * 30 :])
    result = await studio.hls(clip, **LOWEST)
    look = "scale=16:16,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-"
    argv = [media.ffmpeg, "-v", "error", "-i", result["renditions"][0]["path"], "-vf", look, "-f", "null", "-"]
    averages = [float(average) for average in BRIGHTNESS.findall(run(argv).stdout.decode())]
    assert averages and not [average for average in averages if 20 < average < 200]
    assert ["in its first" in warning for warning in result["warnings"]] == [True]


@pytest.mark.parametrize("suffix", ["mkv", "flv", "avi"])
async def test_a_file_that_breaks_off_is_truncated(studio: Any, media: Media, tmp_path: Path, suffix: Any) -> None:
    clip = film(media, tmp_path / f"film.{suffix}", 9, "-bf 0")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(Deterministic) as refused:
        await studio.hls(clip, **LOWEST)
    assert refused.value.type == "input_truncated" and "declares 9." in str(refused.value)


@pytest.mark.parametrize("options", ["", "-movflags frag_keyframe+empty_moov"])
async def test_a_film_that_is_encrypted_is_refused_as_such(
    studio: Any, media: Media, tmp_path: Path, options: str
) -> None:
    keys = f"-encryption_scheme cenc-aes-ctr -encryption_key {'76' * 16} -encryption_kid {'a7' * 16}"
    clip = film(media, tmp_path / "film.mp4", 1, f"{keys} {options}")
    for job in (studio.hls, studio.thumbnail):
        with pytest.raises(Deterministic) as refused:
            await job(clip)
        assert refused.value.type == "encrypted"


@dataclass
class Meanwhile:
    """Programs behind whose backs something happens to a folder, while they exit 0 as ffmpeg does."""

    programs: Programs
    happens: Callable[[Path], None]

    async def run(self, argv: Sequence[str], *, cwd: Path, **options: Any) -> Finished:
        finished = await self.programs.run(argv, cwd=cwd, **options)
        if "hls" in argv:
            await asyncio.to_thread(self.happens, cwd)
        return finished


def cut_off(folder: Path) -> None:
    for segment in folder.glob("144p/00000.*"):
        segment.write_bytes(segment.read_bytes()[:-1000])


def remove_all(folder: Path) -> None:
    for made in folder.iterdir():  # not by a program: the folder's name leads there in this process alone
        shutil.rmtree(made)


@pytest.mark.parametrize(("harm", "kind"), [(cut_off, "fmp4"), (cut_off, "ts"), (remove_all, "fmp4")])
async def test_what_a_full_disk_cut_off_is_not_published_and_made_again(
    studio: Any, clips: Callable[[str], Path], harm: Any, kind: Any
) -> None:
    programs: Any = Meanwhile(studio.tools.programs, harm)
    full = replace(studio, tools=replace(studio.tools, programs=programs))
    with pytest.raises(Transient) as refused:
        await full.hls(clips("plain.mp4"), segmentType=kind, **LOWEST)
    assert refused.value.type == "disk_full" and not (studio.root / "out").exists()


async def test_a_film_that_is_still_being_written_is_made_once_it_is_whole(
    studio: Any, media: Media, tmp_path: Path
) -> None:
    whole = film(media, tmp_path / "whole.ts", 3, "").read_bytes()
    clip = studio.root / "film.ts"
    clip.write_bytes(whole[: len(whole) // 2 // 188 * 188])
    programs: Any = Meanwhile(studio.tools.programs, lambda _: clip.write_bytes(whole) and None)
    recorded = replace(studio, tools=replace(studio.tools, programs=programs))
    with pytest.raises(Postponed) as wait:
        await recorded.hls(clip, **LOWEST)
    assert not (studio.root / "out").exists()
    await studio.tools.clock.advance(wait.value.delay.total_seconds())
    assert (await studio.hls(clip, **LOWEST))["duration"] == pytest.approx(3, abs=0.1)
