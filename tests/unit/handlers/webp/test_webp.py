"""Real pictures, one for each trap, through the whole handler: roots, launcher, limits, Pillow."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageStat  # noqa: TID253 - the judge of what was made
from pydantic import ValidationError

from secondunit.handlers.webp import handler as webp
from secondunit.queue.errors import BadPayload
from secondunit.queue.handler import HandlerSpec
from tests.unit.handlers.webp.made import BLUE, ORIENTATION, RED, Converter, chunk, encoded, halves, near

pytestmark = pytest.mark.slow  # each starts programs

GPS = 0x8825


def png_header(width: int, height: int) -> bytes:
    """A tiny file that claims to be huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "PPM", "JPEG2000"])
async def test_usual_formats_are_converted_whatever_their_name(convert: Converter, format: str) -> None:
    result, made = await convert(encoded(halves(), format), "really.not.txt")

    assert (result["width"], result["height"], result["frames"]) == (80, 40, 1)
    assert near(made.convert("RGB").getpixel((10, 20)), RED, 40)
    assert near(made.convert("RGB").getpixel((70, 20)), BLUE, 40)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
async def test_every_kind_of_png_is_converted(convert: Converter, mode: str) -> None:
    image = of_kind(mode)
    shown = (halves("L") if mode == "I;16" else image).convert("RGB")
    _, made = await convert(encoded(image, "PNG"), lossless=True)

    assert made.size == image.size and made.mode == ("RGBA" if mode.endswith("A") else "RGB")
    for half in ((0, 0, 40, 40), (40, 0, 80, 40)):
        assert near(tones(made, half), tones(shown, half), 1)
    if mode.endswith("A"):
        alpha = made.getchannel("A")
        assert (alpha.getpixel((10, 20)), alpha.getpixel((70, 20))) == (128, 255)


def of_kind(mode: str) -> Image.Image:
    """The halves as this kind of picture: half transparent on the left if it can be, in 16 bits if it is deep."""
    if mode == "I;16":
        grey = halves("L")
        return Image.frombytes(mode, grey.size, bytes(byte for tone in grey.tobytes() for byte in (tone, tone)))
    image = halves(mode)
    if mode.endswith("A"):
        alpha = Image.new("L", image.size, 255)
        alpha.paste(128, (0, 0, 40, 40))
        image.putalpha(alpha)
    return image


def tones(image: Image.Image, part: tuple[int, int, int, int]) -> Any:
    """The mean of red, green and blue in a part of a picture."""
    return ImageStat.Stat(image.convert("RGB").crop(part)).mean


async def test_deep_grey_keeps_its_tones(convert: Converter) -> None:
    image = Image.new("I;16", (60, 20))
    for x in range(60):
        for y in range(20):
            image.putpixel((x, y), x // 20 * 32767)
    _, made = await convert(encoded(image, "PNG"))
    greys = [made.convert("L").getpixel((x, 10)) for x in (10, 30, 50)]

    assert near(greys, (0, 127, 255), 6)


async def test_a_picture_is_turned_as_its_exif_says(convert: Converter) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be turned right by 90 degrees
    _, made = await convert(encoded(halves(), "JPEG", exif=exif, quality=95))

    assert made.size == (40, 80)
    assert near(made.getpixel((20, 10)), RED) and near(made.getpixel((20, 70)), BLUE)


async def test_width_means_the_upright_picture(convert: Converter) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    _, made = await convert(encoded(halves(size=(4000, 2000)), "JPEG", exif=exif), width=100)

    assert made.size == (100, 200)


async def test_a_picture_is_never_enlarged(convert: Converter) -> None:
    result, _ = await convert(encoded(halves(), "PNG"), width=1000)

    assert (result["width"], result["height"]) == (80, 40)


async def test_a_sliver_keeps_a_pixel(convert: Converter) -> None:
    result, _ = await convert(encoded(halves(size=(3000, 2)), "PNG"), width=10)

    assert (result["width"], result["height"]) == (10, 1)


async def test_metadata_is_stripped_unless_it_is_wanted(convert: Converter) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010F] = "Maker"
    exif.get_ifd(GPS)[1] = "N"
    content = encoded(halves(), "JPEG", exif=exif, xmp=b"<x:xmpmeta>me</x:xmpmeta>")

    _, stripped = await convert(content)
    assert dict(stripped.getexif()) == {} and "xmp" not in stripped.info
    _, kept = await convert(content, stripMetadata=False)
    assert kept.getexif()[0x010F] == "Maker" and ORIENTATION not in kept.getexif()
    assert kept.size == (40, 80) and b"me" in kept.info["xmp"]


async def test_the_colour_profile_is_kept(convert: Converter) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _, made = await convert(encoded(halves(), "JPEG", icc_profile=profile))

    assert made.info["icc_profile"] == profile


async def test_cmyk_becomes_rgb(convert: Converter) -> None:
    _, made = await convert(encoded(halves("CMYK"), "JPEG", quality=95))

    assert made.mode == "RGB" and near(made.getpixel((10, 20)), RED) and near(made.getpixel((70, 20)), BLUE)


async def test_a_broken_or_foreign_profile_does_not_harm(convert: Converter) -> None:
    for profile in (b"no profile at all", b"\0" * 16 + b"CMYK" + b"\0" * 108):
        _, made = await convert(encoded(halves("CMYK"), "JPEG", icc_profile=profile, quality=95))
        assert near(made.getpixel((10, 20)), RED) and "icc_profile" not in made.info


@pytest.mark.parametrize("format", ["PNG", "GIF"])
async def test_a_transparent_palette_stays_transparent(convert: Converter, format: str) -> None:
    image = halves().quantize(4)
    _, made = await convert(encoded(image, format, transparency=image.getpixel((0, 0))))

    assert made.mode == "RGBA"
    alpha = made.getchannel("A")
    assert alpha.getpixel((10, 20)) == 0 and alpha.getpixel((70, 20)) == 255


async def test_lossless_is_exact(convert: Converter) -> None:
    image = Image.effect_noise((64, 64), 90).convert("RGB")
    _, made = await convert(encoded(image, "PNG"), lossless=True)

    assert made.convert("RGB").tobytes() == image.tobytes()


async def test_quality_counts(convert: Converter) -> None:
    content = encoded(Image.effect_noise((256, 256), 90).convert("RGB"), "PNG")
    low, _ = await convert(content, quality=10)
    high, _ = await convert(content, quality=95)

    assert low["size"] < high["size"] / 2


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
async def test_an_animation_stays_one(convert: Converter, format: str) -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    frames = [Image.new("RGB", (60, 30), colour) for colour in colours]
    durations = [100, 250, 400]
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=durations, loop=0)
    result, made = await convert(content, width=30)

    assert result["frames"] == 3 and made.size == (30, 15) and made.info["loop"] == 0
    for number, (colour, duration) in enumerate(zip(colours, durations, strict=True)):
        made.seek(number)
        made.load()
        assert made.info["duration"] == duration
        assert near(made.convert("RGB").getpixel((15, 7)), colour, 40)


async def test_a_gif_that_plays_once_still_plays_once(convert: Converter) -> None:
    frames = [Image.new("RGB", (10, 10), colour) for colour in (RED, BLUE)]
    once = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    twice = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, loop=1)

    assert (await convert(once))[1].info["loop"] == 1
    assert (await convert(twice))[1].info["loop"] == 2


async def test_the_stand_in_picture_of_an_apng_is_not_shown(convert: Converter) -> None:
    frames = [Image.new("RGB", (10, 10), colour) for colour in ((0, 0, 0), RED, BLUE)]
    content = encoded(frames[0], "PNG", save_all=True, default_image=True, append_images=frames[1:], duration=100)
    result, made = await convert(content)

    assert result["frames"] == 2 and near(made.convert("RGB").getpixel((5, 5)), RED, 40)


@pytest.mark.parametrize("size", [(20000, 10), (10, 20000), (10001, 10000)])
async def test_a_huge_picture_is_refused_before_it_is_decoded(convert: Converter, size: tuple[int, int]) -> None:
    refused = await convert.refusal(png_header(*size))

    assert refused.type == "image_too_large" and "too large" in str(refused)


async def test_a_film_of_too_many_pixels_is_refused(convert: Converter) -> None:
    frames = [Image.new("L", (10, 10), n) for n in range(40)]
    small = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    content = small[:6] + struct.pack("<HH", 4000, 4000) + small[10:]  # the logical screen

    assert (await convert.refusal(content)).type == "image_too_large"


async def test_a_film_of_too_many_frames_is_refused_however_small_they_are(convert: Converter) -> None:
    frames = [Image.new("L", (1, 1), shade) for shade in (0, 200)]
    small = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    second = small.rindex(b"\x21\xf9\x04")
    refused = await convert.refusal(small[:second] + small[second:-1] * 10_000 + b";")

    assert refused.type == "image_too_large" and "10001 frames of 1 x 1" in str(refused)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
async def test_what_is_cut_off_is_unreadable(convert: Converter, format: str, part: float) -> None:
    content = encoded(Image.effect_noise((64, 64), 90).convert("RGB"), format)

    assert (await convert.refusal(content[: int(len(content) * part)])).type == "unreadable"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"just text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
    ids=["nothing", "text", "svg", "eps"],
)
async def test_what_is_no_picture_is_unreadable_whatever_its_name(convert: Converter, content: bytes) -> None:
    refused = await convert.refusal(content, "holiday.jpg")

    assert refused.type == "unreadable" and "holiday.jpg" in str(refused)
    assert "/proc/" not in str(refused), "it names our descriptor"


async def test_odd_names_are_no_trouble(convert: Converter) -> None:
    name = '-it\'s 100%d\n"映画".png'
    content = encoded(halves(), "PNG")
    _, made = await convert(content, name)

    assert near(made.convert("RGB").getpixel((10, 20)), RED) and near(made.convert("RGB").getpixel((70, 20)), BLUE)
    assert sorted(path.name for path in convert.root.iterdir() if path.is_file()) == sorted([name, "out.webp"])
    assert (convert.root / name).read_bytes() == content


def test_the_payload_is_checked_field_by_field() -> None:
    given = {"inputPath": "/m/a", "outputPath": "/m/b"}
    webp.WebpPayload.model_validate(given)
    for wrong in (
        {"quality": 101},
        {"quality": -1},
        {"quality": "80"},
        {"width": 0},
        {"width": 16384},
        {"lossless": 1},
        {"stripMetadata": "yes"},
        {"unknown": 1},
        {"inputPath": None},
    ):
        with pytest.raises(ValidationError) as caught:
            webp.WebpPayload.model_validate({**given, **wrong})
        assert [error["loc"][0] for error in caught.value.errors()] == list(wrong)


def test_paths_outside_the_roots_are_refused_at_submit(spec: HandlerSpec, root: Path) -> None:
    assert spec.check is not None
    for field, paths in (("inputPath", ("/etc/passwd", f"{root}/b")), ("outputPath", (f"{root}/a", "/etc/passwd"))):
        payload = webp.WebpPayload.model_validate({"inputPath": paths[0], "outputPath": paths[1]})
        with pytest.raises(BadPayload, match=field):
            spec.check(payload)
