"""The two programs of an encode: which one is to blame when one ends for want of the other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.hls.pipeline import Encoded, Pipeline
from secondunit.handlers.hls.plan import plan
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.media.probe import Audio, MediaInfo, Video
from secondunit.handlers.tools.programs.ports import Finished, Limits
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.outcome import Deterministic, Transient

MEDIA = Media("/x/ffmpeg", "/x/ffprobe", "5.1", frozenset(), frozenset(), False)
VIDEO = Video(0, "h264", 640, 360, Fraction(1), 0, Fraction(25), Fraction(25), "yuv420p", "", "", False)
FINE, STEREO = Finished(0, ""), Audio(1, "aac", 2)
NO_READER, NO_ROOM = Finished(1, "av_interleaved_write_frame(): Broken pipe"), Finished(1, "No space left on device")


@dataclass
class Ends:
    """Programs that end as told, the one of the pictures first; each looks whether its end of the pipe is open.

    That one says `told` before the last that is kept of its stderr.
    """

    pictures: Finished
    sound: Finished
    fds: list[int] = field(default_factory=list)
    told: Sequence[str] = ()

    async def run(self, argv: Sequence[str], *, pass_fds: Sequence[int], on_error: Any, **_: Any) -> Finished:
        self.fds.extend(pass_fds[1:])
        for fd in pass_fds[1:]:
            os.fstat(fd)
        if f"pipe:{pass_fds[-1]}" == argv[argv.index("-i") + 1]:
            return self.sound
        for line in self.told:
            on_error(line)
        return self.pictures


class Ctx:
    attempt = 1
    workspace: Any = type("Folders", (), {"log": None})

    def beat(self) -> None: ...


async def encode(ends: Ends, audio: Audio | None = STEREO) -> Encoded:
    info = MediaInfo("mov", 60.0, False, False, VIDEO, audio)
    source = Source("film.mp4", Path("/proc/self/fd/9"), 9, 1000, "id")
    programs: Any = ends
    context: Any = Ctx()
    pipeline = Pipeline(programs, context, MEDIA, source, Path("/nowhere"), (), Limits())

    async def progress(_: str) -> None: ...

    return await pipeline.encode(plan(info, VIDEO, ["360p"], "fmp4"), progress)


async def test_both_ends_of_the_pipe_are_closed_after_their_programs() -> None:
    ends = Ends(FINE, FINE)
    await encode(ends)
    assert len(ends.fds) == 2
    for fd in ends.fds:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


async def test_a_film_without_sound_needs_no_pipe() -> None:
    ends = Ends(FINE, Finished(1, "never asked"))
    await encode(ends, None)
    assert ends.fds == []


@pytest.mark.parametrize(
    ("pictures", "sound", "kind", "type"),
    [
        (NO_READER, NO_ROOM, Transient, "disk_full"),
        (FINE, NO_ROOM, Transient, "disk_full"),
        (FINE, Finished(1, "pipe:8: Invalid data found when processing input"), Deterministic, "input_truncated"),
        (FINE, Finished(1, "something odd"), Transient, "program_failed"),
        (Finished(1, "Invalid data found"), Finished(1, "pipe:8: Invalid data found"), Deterministic, "unreadable"),
        (Finished(-9, ""), FINE, Transient, "killed"),
        (NO_READER, FINE, Deterministic, "unreadable"),
    ],
)
async def test_the_one_that_failed_first_is_to_blame(
    pictures: Finished, sound: Finished, kind: type[Exception], type: str
) -> None:
    with pytest.raises(kind) as failed:
        await encode(Ends(pictures, sound))
    assert getattr(failed.value, "type", None) == type


async def test_sound_that_was_decoded_and_did_not_arrive_is_no_fault_of_the_film() -> None:
    lost = Finished(1, "pipe:8: Invalid data found when processing input")
    with pytest.raises(Transient):
        await encode(Ends(FINE, lost, told=["999999999.000000", "1000000000.000000"]))


async def test_a_decoder_that_is_missing_is_told_of_although_ffmpeg_is_content() -> None:
    said = "[av1 @ 0x5] Your platform doesn't support hardware accelerated AV1 decoding.\n"
    with pytest.raises(Deterministic, match=r"no decoder for AV1; install ffmpeg") as failed:
        await encode(Ends(Finished(0, said), FINE))
    assert failed.value.type == "unreadable"


async def test_where_decoders_gave_nothing_is_told_apart_for_pictures_and_sound_whatever_is_said_after_it() -> None:
    pictures, sound = (-1, 0.08, 3, 6.25), (-1, 0, 4.5, 9)
    told = [*(f"{at:.6f}" for at in pictures), "[h264 @ 0x5] odd", *(f"{1e9 + at:.6f}" for at in sound), "8.000000"]
    told[2] = f"[Eval @ 0x7f] {told[2]}"
    made = await encode(Ends(Finished(0, "the last 64 KB"), FINE, told=told))
    assert (made.blank, made.silent, made.damage) == (
        [pictures[:2], pictures[2:]],
        [sound[:2], sound[2:]],
        "[h264 @ 0x5] odd",
    )
