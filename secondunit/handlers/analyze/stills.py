"""Frame sampling: still pictures of a video for a model to look at: few, small, and no two alike."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.frames import Camera, Frame, size
from secondunit.handlers.tools.media.graphs import Shot
from secondunit.handlers.tools.media.pictures import Picture, PictureWriter
from secondunit.queue.outcome import Deterministic

MOST, MOST_SEEKS = 120, 30
FEWEST_BY_ITSELF, SECONDS_A_FRAME = 4, 4.0
LONGEST_SIDE = 768
AT_A_TIME = 2
QUALITY = 80
MOST_BYTES = 8 << 20  # of all of them: they are one question, which is put together in the daemon's memory
BLIND_STEP = 2.0  # seconds between frames when nobody knows how long the video is
ALIKE = 3  # bits of 64


@dataclass(frozen=True, slots=True)
class Still:
    """A JPEG and the second it was taken at; `look` is a hash of what it shows, close for pictures that look alike."""

    at: float
    path: Path
    look: int
    black: bool
    brightness: float


def moments(duration: float | None, wanted: int | None) -> Sequence[float]:
    """The seconds to look at: the middles of equal parts of the video."""
    if duration is None:
        return [i * BLIND_STEP for i in range(wanted or MOST_SEEKS)]
    count = wanted or min(max(math.ceil(duration / SECONDS_A_FRAME), FEWEST_BY_ITSELF), MOST_SEEKS)
    return [round((i + 0.5) * duration / count, 3) for i in range(count)]


async def take_stills(
    camera: Camera, writer: PictureWriter, duration: float | None, wanted: int | None, folder: Path
) -> Sequence[Still]:
    """Pictures of the video in `folder`, in order; Deterministic("no_decodable_frame") when there is none.

    Seeking to each is quicker than reading on, up to 30; for more, the key frames are read in one go.
    """
    film = _Film(camera, _fitted(camera))
    await in_thread(folder.mkdir, exist_ok=True)
    if wanted and wanted > MOST_SEEKS and duration:
        taken = await camera.take_key_frames(film.size, duration / wanted, MOST, duration)
    else:
        taken = await film.sought(moments(duration, wanted))
    if not taken and (first := await camera.take(Shot(None, *film.size))):
        taken = [(0.0, first)]
    if not taken:
        raise Deterministic(f"no picture of {camera.source.name} could be decoded", type="no_decodable_frame")
    return telling(await _kept(writer, taken, folder))


@dataclass(frozen=True, slots=True)
class _Film:
    camera: Camera
    size: tuple[int, int]

    async def sought(self, times: Sequence[float]) -> Sequence[tuple[float, Frame]]:
        room, done = asyncio.Semaphore(AT_A_TIME), 0

        async def take(at: float) -> Frame | None:
            nonlocal done
            async with room:
                frame = await self.camera.take(Shot(at, *self.size))
            done += 1
            await self.camera.ctx.progress(done / (len(times) + 1), f"{done} of {len(times)} frames")
            return frame

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(take(at)) for at in times]
        return [(at, frame) for at, task in zip(times, tasks, strict=True) if (frame := task.result())]


async def _kept(writer: PictureWriter, taken: Sequence[tuple[float, Frame]], folder: Path) -> Sequence[Still]:
    """The frames as JPEG files; the frames themselves are dropped."""
    paths = [folder / f"{round(at * 1000):09d}.jpg" for at, _ in taken]
    jpegs = [Picture(frame.path, path, ".jpg", QUALITY) for (_, frame), path in zip(taken, paths, strict=True)]
    looks = await writer.write(jpegs, most_bytes=MOST_BYTES // len(taken))
    for _, frame in taken:
        await in_thread(frame.path.unlink, missing_ok=True)
    return [
        Still(at, path, look, frame.black, frame.average)
        for (at, frame), path, look in zip(taken, paths, looks, strict=True)
    ]


def telling(stills: Sequence[Still]) -> Sequence[Still]:
    """Those that show something new: not black, not like the one before; at least the brightest."""
    kept: list[Still] = []
    for still in stills:
        if not still.black and not (kept and (kept[-1].look ^ still.look).bit_count() <= ALIKE):
            kept.append(still)
    return kept or [max(stills, key=lambda still: still.brightness)]


def _fitted(camera: Camera) -> tuple[int, int]:
    across, down = camera.video.display
    return size(camera.video, max(1, int(across * min(Fraction(1), Fraction(LONGEST_SIDE) / max(across, down)))))
