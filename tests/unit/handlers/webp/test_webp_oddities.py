"""Sound pictures that are made in odd ways, and damage that costs no pixel."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image  # noqa: TID253 - the judge of what was made

from tests.unit.handlers.webp.made import BLUE, ORIENTATION, RED, Converter, chunk, encoded, halves, near

pytestmark = pytest.mark.slow  # each starts programs
AFTER_HEADER, LONG = 33, b"a" * (3 << 20)


@pytest.mark.parametrize(("orientation", "first"), [(5, RED), (6, RED), (7, BLUE), (8, BLUE)])
async def test_a_tiff_that_lies_on_its_side_keeps_its_shape(convert: Converter, orientation: int, first: Any) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    _, made = await convert(encoded(halves(), "TIFF", exif=exif), lossless=True)

    assert made.size == (40, 80)
    assert near(made.convert("RGB").getpixel((20, 10)), first, 2)


@pytest.mark.parametrize(
    ("kind", "begin", "times"),
    [
        (b"zTXt", b"k\0\0", 1),
        (b"iTXt", b"k\0\1\0\0\0", 1),
        (b"iCCP", b"k\0\0", 1),
        (b"zTXt", b"k\0\0", 16),
        (b"iCCP", b"k\0\0", 16),
    ],
    ids=["zTXt", "iTXt", "iCCP", "huge zTXt", "huge iCCP"],
)
async def test_long_metadata_of_a_png_is_no_damage(convert: Converter, kind: bytes, begin: bytes, times: int) -> None:
    png = encoded(halves(), "PNG")
    metadata = chunk(kind, begin + zlib.compress(times * LONG))
    _, made = await convert(png[:AFTER_HEADER] + metadata + png[AFTER_HEADER:], lossless=True)

    assert made.convert("RGB").tobytes() == halves().tobytes() and "icc_profile" not in made.info


async def test_a_png_with_a_bad_checksum_in_a_text_is_converted_with_a_warning(convert: Converter) -> None:
    png, text = encoded(halves(), "PNG"), chunk(b"tEXt", b"Author\0me")
    result, made = await convert(png[:AFTER_HEADER] + text[:-1] + b"?" + png[AFTER_HEADER:], lossless=True)

    assert made.convert("RGB").tobytes() == halves().tobytes()
    assert result["warnings"] == ["metadata that can't be read was left out (tEXt)"]


@pytest.mark.parametrize("progressive", [False, True])
async def test_a_jpeg_without_its_end_mark_is_converted_with_a_warning(convert: Converter, progressive: bool) -> None:
    noise = Image.effect_noise((64, 64), 90).convert("RGB")
    jpeg = encoded(noise, "JPEG", progressive=progressive)
    result, made = await convert(jpeg[:-2], lossless=True)

    with Image.open(io.BytesIO(jpeg)) as whole:
        assert made.convert("RGB").tobytes() == whole.tobytes()
    assert "end" in result["warnings"][0]
    for missing in (3, 5, 40):
        assert (await convert.refusal(jpeg[:-missing], "cut")).type == "unreadable"


@pytest.mark.parametrize("white", [1, 255, 65535, 1e6])
async def test_floats_keep_their_tones(convert: Converter, white: float) -> None:
    tones = (0.0, white / 2, float(white))
    image = Image.frombytes("F", (3, 1), struct.pack("3f", *tones)).resize((60, 20), Image.Resampling.NEAREST)
    _, made = await convert(encoded(image, "TIFF"), lossless=True)

    assert near([made.convert("L").getpixel((x, 10)) for x in (10, 30, 50)], (0, 127, 255), 2)


async def test_the_transparent_tone_of_deep_grey_stays_transparent(convert: Converter) -> None:
    tones = struct.pack("<3H", 0, 32767, 32766)
    image = Image.frombytes("I;16", (3, 1), tones).resize((60, 20), Image.Resampling.NEAREST)
    _, made = await convert(encoded(image, "PNG", transparency=32767), lossless=True)

    assert [made.getchannel("A").getpixel((x, 10)) for x in (10, 30, 50)] == [255, 0, 255]


async def test_what_a_gif_leaves_bare_is_transparent(convert: Converter) -> None:
    _, made = await convert(gif((10, 10, 20, 20, 1, 0)), lossless=True)
    assert corners(made) == [None, RED, None]


@pytest.mark.parametrize(
    ("disposal", "second"), [(0, [None, RED, BLUE]), (2, [None, None, BLUE]), (3, [None, None, BLUE])]
)
async def test_a_gif_whose_first_picture_is_small_stays_so(convert: Converter, disposal: int, second: Any) -> None:
    _, made = await convert(gif((10, 10, 20, 20, 1, disposal), (40, 25, 10, 10, 2, 0)), lossless=True)
    assert corners(made) == [None, RED, None]
    made.seek(1)
    assert corners(made) == second


async def test_frames_that_are_equal_are_one_and_counted_as_one(convert: Converter) -> None:
    result, _ = await convert(gif(*[(0, 0, 60, 40, 1, 0)] * 3))
    assert result["frames"] == 1


async def test_an_iphones_picture_is_converted(convert: Converter) -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turned by the reader of the format already
    heic = encoded(halves(size=(128, 64)), "HEIF", exif=exif)
    result, made = await convert(heic, width=64)

    assert result["frames"] == 1 and made.size == (64, 32)
    assert near(made.convert("RGB").getpixel((5, 5)), RED) and near(made.convert("RGB").getpixel((60, 5)), BLUE)
    assert (await convert.refusal(heic[: len(heic) // 2], "cut")).type == "unreadable"


async def test_of_two_pictures_in_a_jpeg_the_first_is_taken(convert: Converter) -> None:
    result, made = await convert(encoded(halves(), "MPO", save_all=True, append_images=[halves("L").convert("RGB")]))
    assert result["frames"] == 1 and near(made.convert("RGB").getpixel((10, 20)), RED)


def corners(image: Image.Image) -> list[tuple[int, ...] | None]:
    """The colours left above, of the first picture's place and of the second's; None where it is transparent."""
    pixels = [image.convert("RGBA").getpixel(place) for place in ((2, 2), (15, 15), (45, 30))]
    return [pixel[:3] if pixel[3] else None for pixel in pixels if isinstance(pixel, tuple)]


def gif(*frames: tuple[int, int, int, int, int, int]) -> bytes:
    """60 x 40 pixels: left, top, width, height, colour and disposal of each frame; no colour is transparent."""
    palette = bytes([0, 0, 0, *RED, *BLUE, 0, 0, 0])
    parts = [b"GIF89a" + struct.pack("<HHBBB", 60, 40, 0x81, 0, 0) + palette]
    for left, top, width, height, colour, disposal in frames:
        parts.append(b"\x21\xf9\x04" + struct.pack("<BHB", disposal << 2, 10, 0) + b"\0")
        parts.append(b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\x02")
        # Codes of three bits, each pixel after a "clear": the simplest that LZW decoders take.
        codes = [code for _ in range(width * height) for code in (4, colour)] + [5]
        value = sum(code << 3 * place for place, code in enumerate(codes))
        data = value.to_bytes(3 * len(codes) // 8 + 1, "little")
        parts += [bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)]
        parts.append(b"\0")
    return b"".join(parts) + b";"
