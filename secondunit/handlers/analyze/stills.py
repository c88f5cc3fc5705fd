"""Frame sampling: still pictures of a video for a model to look at: few, small, and no two alike."""

import asyncio
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.frames import Camera, Frame, size
from secondunit.handlers.tools.media.graphs import Shot
from secondunit.handlers.tools.media.pictures import Picture, PictureWriter
from secondunit.queue.outcome import Deterministic
from secondunit.queue.value import Value

MOST, MOST_SEEKS = 120, 30
FEWEST_BY_ITSELF, SECONDS_A_FRAME = 4, 4.0
LONGEST_SIDE = 768
AT_A_TIME = 2
QUALITY = 80
MOST_BYTES = 8 << 20  # of all of them: they are one question, which is put together in the daemon's memory
BLIND_STEP = 2.0  # seconds between frames when nobody knows how long the video is
ALIKE = 3  # bits of 64


class Still(Value, frozen=True):
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


async def take_stills(camera: Camera, writer: PictureWriter, wanted: int | None, folder: Path) -> Sequence[Still]:
    """Pictures of the video in `folder`, in order; Deterministic("no_decodable_frame") when there is none.

    Seeking to each is quicker than reading on, up to 30; for more, and where the file's clock jumps, the key frames are
    read in one go.
    """
    film, duration = _Film(camera, _fitted(camera)), camera.info.duration
    await in_thread(folder.mkdir, exist_ok=True)
    if wanted and wanted > MOST_SEEKS and duration:
        taken = await camera.take_key_frames(film.size, duration / wanted, MOST, duration)
    else:
        times = moments(duration, wanted)
        last = await camera.take(Shot(times[-1], *film.size))
        if played := await camera.jumps(times[-1], last):
            taken = await camera.take_key_frames(film.size, played / len(times), MOST, played)
        else:
            taken = once([*await film.sought(times[:-1]), last])
    if not taken and (first := await camera.take(Shot(None, *film.size))):
        taken = [first]
    if not taken:
        raise Deterministic(f"no picture of {camera.source.name} could be decoded", type="no_decodable_frame")
    return telling(await _kept(writer, taken, folder))


class _Film(Value, frozen=True):
    camera: Camera
    size: tuple[int, int]

    async def sought(self, times: Sequence[float]) -> Sequence[Frame | None]:
        room, done = asyncio.Semaphore(AT_A_TIME), 1

        async def take(at: float) -> Frame | None:
            nonlocal done
            async with room:
                frame = await self.camera.take(Shot(at, *self.size))
            done += 1
            await self.camera.ctx.progress(done / (len(times) + 2), f"{done} of {len(times) + 1} frames")
            return frame

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(take(at)) for at in times]
        return [task.result() for task in tasks]


def once(frames: Sequence[Frame | None]) -> Sequence[Frame]:
    """The pictures in order, each once: near moments may have the same."""
    taken = {frame.at: frame for frame in frames if frame}
    return [taken[at] for at in sorted(taken)]


async def _kept(writer: PictureWriter, taken: Sequence[Frame], folder: Path) -> Sequence[Still]:
    """The frames as JPEG files; the frames themselves are dropped."""
    paths = [folder / f"{number:04d}.jpg" for number, _ in enumerate(taken, 1)]
    jpegs = [Picture(frame.path, path, ".jpg", QUALITY) for frame, path in zip(taken, paths, strict=True)]
    looks = await writer.write(jpegs, most_bytes=MOST_BYTES // len(taken))
    for frame in taken:
        await in_thread(frame.path.unlink, missing_ok=True)
    return [
        Still(round(frame.at, 3), path, look, frame.black, frame.average)
        for frame, path, look in zip(taken, paths, looks, strict=True)
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
