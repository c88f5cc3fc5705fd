"""Takes still pictures of a video for a model to look at: few, small, and no two alike."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.frames import Camera, Frame, size
from secondunit.handlers.tools.media.graphs import Shot
from secondunit.queue.outcome import Deterministic

MOST, MOST_SEEKS = 120, 30
FEWEST_BY_ITSELF, SECONDS_A_FRAME = 4, 4.0
LONGEST_SIDE = 768
AT_A_TIME = 2
QUALITY = 80
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


async def take_stills(camera: Camera, duration: float | None, wanted: int | None, folder: Path) -> Sequence[Still]:
    """Pictures of the video in `folder`, in order; Deterministic("no_decodable_frame") when there is none.

    Seeking to each is quicker than reading on, up to 30; for more, the key frames are read in one go.
    """
    film = _Film(camera, _fitted(camera), folder)
    await in_thread(folder.mkdir, exist_ok=True)
    if wanted and wanted > MOST_SEEKS and duration:
        stills = await film.key_frames(duration / wanted, duration)
    else:
        stills = await film.sought(moments(duration, wanted))
    if not stills:
        stills = [still for still in [await film.take(None)] if still]
    if not stills:
        raise Deterministic(f"no picture of {camera.source.name} could be decoded", type="no_decodable_frame")
    return telling(stills)


@dataclass(frozen=True, slots=True)
class _Film:
    camera: Camera
    size: tuple[int, int]
    folder: Path

    async def sought(self, times: Sequence[float]) -> Sequence[Still]:
        room, done = asyncio.Semaphore(AT_A_TIME), 0

        async def take(at: float) -> Still | None:
            nonlocal done
            async with room:
                still = await self.take(at)
            done += 1
            await self.camera.ctx.progress(done / (len(times) + 1), f"{done} of {len(times)} frames")
            return still

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(take(at)) for at in times]
        return [still for task in tasks if (still := task.result())]

    async def take(self, at: float | None) -> Still | None:
        frame = await self.camera.take(Shot(at, *self.size))
        return await self._kept(at or 0.0, frame) if frame else None

    async def key_frames(self, every: float, duration: float) -> Sequence[Still]:
        frames = await self.camera.take_key_frames(self.size, every, duration)
        return [await self._kept(at, frame) for at, frame in frames]

    async def _kept(self, at: float, frame: Frame) -> Still:
        path = self.folder / f"{round(at * 1000):09d}.jpg"
        return Still(at, path, await in_thread(_keep, frame.path, path), frame.black, frame.average)


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


def _keep(frame: Path, target: Path) -> int:
    """Write the JPEG, drop the frame; the picture's hash: in 8 rows 8 steps each, brighter or not. Blocking."""
    from PIL import Image

    with Image.open(frame) as picture:
        picture.save(target, "JPEG", quality=QUALITY)
        small = picture.convert("L").resize((9, 8), Image.Resampling.BOX)
    frame.unlink()
    row = small.tobytes()
    bits = [row[y * 9 + x] < row[y * 9 + x + 1] for y in range(8) for x in range(8)]
    return sum(bit << i for i, bit in enumerate(bits))
