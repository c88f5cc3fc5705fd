"""Pixel conversion: one frame as it is encoded, upright, 8-bit RGB or RGBA, scaled."""

import math
from io import BytesIO
from typing import cast

from PIL import ExifTags, Image, ImageChops, ImageCms, ImageOps  # noqa: TID253 - part of the converter's program

DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION = ExifTags.Base.Orientation
PROFILED = (("CMYK", b"CMYK"), ("L", b"GRAY"))
WHITES = (1.0, 255.0, 65535.0)  # what floats mean by white: the first that holds them all


def finished(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """One frame as it is to be encoded: upright, RGB or RGBA, scaled."""
    image.load()
    picture = ImageOps.exif_transpose(image) if ORIENTATION in image.getexif() else image
    picture = coloured(picture)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def coloured(image: Image.Image) -> Image.Image:
    """RGB, or RGBA where anything is transparent; a profile stays in `info` only where it still holds."""
    profile: bytes = image.info.get("icc_profile") or b""
    space = profile[16:20]  # ICC.1:2022, 7.2.8: the data colour space
    if (image.mode, space) in PROFILED or image.mode == "LAB":
        converted = by_profile(image, profile)
    elif image.mode == "I;16":
        converted = deep_grey(image)
    elif image.mode in DEEP_GREY:
        converted = image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    elif image.mode == "F":
        converted = floats(image)
    else:
        mode = "RGBA" if image.has_transparency_data else "RGB"
        converted = image if image.mode == mode else image.convert(mode)  # a copy would cost 400 MB at worst
    if space != b"RGB " or image.mode in ("CMYK", "LAB"):
        converted.info.pop("icc_profile", None)
    return converted


def by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """In sRGB, as the profile says; by rule of thumb where the profile is broken."""
    srgb = ImageCms.createProfile("sRGB")
    try:
        own = ImageCms.createProfile("LAB") if image.mode == "LAB" else ImageCms.getOpenProfile(BytesIO(profile))
        converted = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")
    return converted if converted is not None else image.convert("RGB")


def deep_grey(image: Image.Image) -> Image.Image:
    """16-bit grey by its upper byte; the tone that a PNG's tRNS names is transparent, and no other."""
    low, high = (Image.frombytes("L", image.size, image.tobytes()[byte::2]) for byte in (0, 1))
    picture = high.convert("RGB")
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        same = [
            half.point([255 * (value == wanted) for value in range(256)])
            for half, wanted in ((low, clear & 255), (high, clear >> 8))
        ]
        picture.putalpha(ImageChops.invert(ImageChops.darker(*same)))
    return picture


def floats(image: Image.Image) -> Image.Image:
    """Grey from floating point: of 0 to 1, 0 to 255 or 0 to 65535; else from the least to the most that there is."""
    least, most = cast(tuple[float, float], image.getextrema())
    if not math.isfinite(least) or not math.isfinite(most):
        raise ValueError("not every pixel is a number")
    white = next((white for white in WHITES if least >= 0 and most <= white), None)
    black, scale = (0.0, 255 / white) if white else (least, 255 / (most - least or 1.0))
    return image.point(lambda value: value * scale + (0.5 - black * scale)).convert("L").convert("RGB")
