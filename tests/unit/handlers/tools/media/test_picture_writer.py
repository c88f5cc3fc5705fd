"""Frames become pictures in a program of its own: formats, bounds, and what is told of a picture that can't be."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image  # noqa: TID253 - the judge of what was made

from secondunit.handlers.tools.media.ffmpeg import limits
from secondunit.handlers.tools.media.pictures import FORMATS, Picture, PictureWriter
from secondunit.handlers.tools.programs.ports import Finished, Limits
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.queue.outcome import Deterministic
from secondunit.testing.handler_kit import FakeContext


def ppm(path: Path, width: int, height: int, pixels: bytes | None = None) -> Path:
    body = bytes(3 * width * height) if pixels is None else pixels
    path.write_bytes(b"P6 %d %d 255\n" % (width, height) + body)
    return path


class Watched(ProcessRunner):
    """Programs whose limits are remembered."""

    limits: Limits

    async def run(self, *args: object, **given: object) -> Finished:
        assert isinstance(given["limits"], Limits)
        self.limits = given["limits"]
        return await super().run(*args, **given)  # type: ignore[arg-type]


@pytest.fixture
async def writer(tmp_path: Path) -> PictureWriter:
    return PictureWriter(Watched(sys.executable), sys.executable, await FakeContext.open(tmp_path))


async def test_each_format_is_written_by_a_program_with_limits_and_not_by_the_daemon(
    writer: PictureWriter, tmp_path: Path
) -> None:
    frame = ppm(tmp_path / "frame.ppm", 64, 48)
    pictures = [Picture(frame, tmp_path / f"made{suffix}", suffix) for suffix in FORMATS]
    looks = await writer.write(pictures)
    made = {}
    for picture in pictures:
        with Image.open(picture.target) as image:
            made[picture.suffix] = image.format, image.size
    assert made == {suffix: (FORMATS[suffix]["format"], (64, 48)) for suffix in FORMATS}
    assert looks == [0] * len(FORMATS), "one even picture has no step that is brighter"
    set_limits = writer.programs.limits  # type: ignore[attr-defined]
    assert set_limits.address_space <= 4 << 30 and set_limits.cpu_seconds and set_limits.file_size


async def test_pictures_that_look_alike_have_looks_that_are_close(writer: PictureWriter, tmp_path: Path) -> None:
    slope = bytes(value for _ in range(90) for x in range(90) for value in (2 * x,) * 3)
    brighter = bytes(min(255, value + 20) for value in slope)
    frames = [ppm(tmp_path / "a.ppm", 90, 90, slope), ppm(tmp_path / "b.ppm", 90, 90, brighter)]
    frames.append(ppm(tmp_path / "c.ppm", 90, 90, slope[::-1]))
    one, two, other = await writer.write(
        [Picture(frame, tmp_path / f"{n}.png", ".png") for n, frame in enumerate(frames)]
    )
    assert one == two == (1 << 64) - 1 and other == 0


async def test_several_frames_are_tiles_of_one_picture_row_by_row(writer: PictureWriter, tmp_path: Path) -> None:
    first, *others = [ppm(tmp_path / f"{n}.ppm", 3, 2, bytes([50 * n] * 18)) for n in range(1, 6)]
    await writer.write([Picture(first, tmp_path / "all.png", ".png", others=others, columns=2)])
    with Image.open(tmp_path / "all.png") as image:
        assert image.size == (6, 6)
        seen = [image.convert("L").getpixel((x, y)) for y in (1, 3, 5) for x in (2, 5)]
    assert seen == [50, 100, 150, 200, 250, 0]


async def test_a_jpeg_gets_the_quality_that_fits_its_bytes(writer: PictureWriter, tmp_path: Path) -> None:
    frame = ppm(tmp_path / "noise.ppm", 256, 256, os.urandom(3 * 256 * 256))
    await writer.write([Picture(frame, tmp_path / "free.jpg", ".jpg", 80)])
    await writer.write([Picture(frame, tmp_path / "bound.jpg", ".jpg", 80)], most_bytes=30_000)
    assert (tmp_path / "bound.jpg").stat().st_size <= 30_000 < (tmp_path / "free.jpg").stat().st_size


async def test_a_picture_that_its_format_can_not_hold_is_refused(writer: PictureWriter, tmp_path: Path) -> None:
    frame = ppm(tmp_path / "long.ppm", 20_000, 1)
    with pytest.raises(Deterministic, match="can't be written") as caught:
        await writer.write([Picture(frame, tmp_path / "made.webp", ".webp")])
    assert caught.value.type == "not_encodable"


async def test_a_picture_of_too_many_pixels_is_refused(writer: PictureWriter, tmp_path: Path) -> None:
    (tmp_path / "bomb.ppm").write_bytes(b"P6 20000 20000 255\n")
    with pytest.raises(Deterministic, match="too much memory") as caught:
        await writer.write([Picture(tmp_path / "bomb.ppm", tmp_path / "made.avif", ".avif")])
    assert caught.value.type == "image_too_large"


def test_ffmpeg_may_have_what_real_media_need_and_an_end() -> None:
    given = limits(100, 200)
    assert (given.cpu_seconds, given.file_size) == (100, 200)
    assert given.address_space is not None and 4 << 30 < given.address_space < (4 << 30) + 1025 * (256 << 20)
