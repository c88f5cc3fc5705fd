"""WebP converter: a program of its own, under limits, because pictures come from strangers.

Reads one JSON object from stdin: {source, target, quality, width, lossless, strip}; prints one to stdout: either
{width, height, frames} or {error, message}. What it can't foresee ends it with a traceback and exit code 1.
"""

import errno
import json
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError  # noqa: TID253 - this program is the place where it is loaded

LARGEST, LONGEST_SIDE, LARGEST_FILM = 100_000_000, 16383, 500_000_000
LEAST_FRAME = 50_000  # pixels: however small it is, a frame takes as long as so many
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "PPM", "JPEG2000", "QOI", "ICO")
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
# What Pillow's readers raise for damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, struct.error, zlib.error)
# The machine's errors, not the picture's; others (EINVAL for a place before the file's beginning) damage brings about.
MACHINE = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOMEM, errno.EAGAIN, errno.ESTALE, errno.EFBIG)
EFFORTS = ((25_000_000, 4), (200_000_000, 2))  # libwebp's method for so many pixels: noise takes 0.6 and 0.1 s a MP
ORIENTATION = ExifTags.Base.Orientation
PROFILED = (("CMYK", b"CMYK"), ("L", b"GRAY"))
MOST_LOOPS = 65535
OUT_OF_MEMORY = "encoding error 1"  # VP8_ENC_ERROR_OUT_OF_MEMORY of libwebp


class ConversionRefused(Exception):
    """A picture that can't be converted, as a stable word and a message for a person."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(message)
        self.type = type


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for; a picture narrower than `width` keeps its size."""

    source: str
    target: str
    quality: int
    width: int | None
    lossless: bool
    strip: bool


def main() -> None:
    """One request, one answer."""
    wish = Wish(**json.load(sys.stdin))
    try:
        answer = convert(wish)
    except ConversionRefused as refusal:
        answer = {"error": refusal.type, "message": str(refusal)}
    except Image.DecompressionBombError as error:
        answer = {"error": "image_too_large", "message": f"the image is too large ({error})"}
    except MemoryError as error:
        answer = {"error": "image_too_large", "message": f"the image needs more memory than it may have ({error})"}
    sys.stdout.write(json.dumps(answer) + "\n")


def convert(wish: Wish) -> Mapping[str, Any]:
    """Read, turn upright, scale and write the picture or the whole animation."""
    Image.MAX_IMAGE_PIXELS = LARGEST // 2  # Pillow raises above twice this
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    with damage_is_told():
        image = Image.open(wish.source, formats=FORMATS)
    with image:
        frames = judge(image)
        with damage_is_told():
            size = target_size(image, wish.width)
        pixels = size[0] * size[1] * len(frames)
        if len(frames) == 1:
            with damage_is_told():
                image.draft(image.mode, draft_size(image, size))
                picture = finished(image, size)
            save(picture, wish, method=effort(pixels))
        else:
            with damage_is_told():
                picture = Animation(image, frames, size)
            save(picture, wish, method=effort(pixels), save_all=True, duration=picture.durations, loop=loops(image))
        return {"width": size[0], "height": size[1], "frames": len(frames)}


@contextmanager
def damage_is_told() -> Iterator[None]:
    """Turn what Pillow raises on damaged files into a refusal; errors of the machine pass as they are."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in MACHINE:
            raise
        known = ", ".join(FORMATS)
        unknown = isinstance(error, UnidentifiedImageError)  # which would name our descriptor
        why = "is not in a format we know" if unknown else f"is damaged or cut off ({error})"
        raise ConversionRefused("unreadable", f"the image {why}; {known} can be read") from error


def judge(image: Image.Image) -> Sequence[int]:
    """The numbers of the frames to show, from what the file says before its pixels are decoded."""
    pixels = image.width * image.height
    if pixels > LARGEST or max(image.size) > LONGEST_SIDE:
        size = f"{image.width} x {image.height}"
        raise ConversionRefused(
            "image_too_large", f"{size} is too large: 100 megapixels and {LONGEST_SIDE} a side are possible"
        )
    with damage_is_told():
        count: int = getattr(image, "n_frames", 1) if image.format in ANIMATED else 1
    if count * max(pixels, LEAST_FRAME) > LARGEST_FILM:
        size, most = f"{image.width} x {image.height}", LARGEST_FILM // LEAST_FRAME
        raise ConversionRefused(
            "image_too_large", f"{count} frames of {size} are too many: 500 megapixels and {most} frames are possible"
        )
    hidden = count > 1 and image.info.get("default_image", False)  # an APNG's picture for those who can't animate
    return range(int(hidden), count)


def target_size(image: Image.Image, width: int | None) -> tuple[int, int]:
    """The size of the upright picture; never larger than it is."""
    across, down = reversed(image.size) if is_turned(image) else image.size
    if width is None or width >= across:
        return across, down
    return width, max(1, round(down * width / across))


def draft_size(image: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    """What a JPEG may be decoded at: still twice as large as needed, so that scaling has something to work with."""
    width, height = reversed(size) if is_turned(image) else size
    return 2 * width, 2 * height


def is_turned(image: Image.Image) -> bool:
    """Whether it lies on its side until it is turned as its EXIF data says."""
    return image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)


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
    elif image.mode in DEEP_GREY:
        converted = image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
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


def loops(image: Image.Image) -> int:
    """How often the animation plays, 0 for ever; a GIF counts the repetitions, and without a count plays once."""
    if image.format != "GIF":
        return int(image.info.get("loop", 0))
    repetitions = image.info.get("loop")
    if repetitions is None:
        return 1
    return 0 if repetitions == 0 else min(int(repetitions) + 1, MOST_LOOPS)


class Animation(Image.Image):
    """An animation whose frames are made one by one as the encoder asks for them, so that only one is in memory."""

    def __init__(self, source: Image.Image, frames: Sequence[int], size: tuple[int, int]) -> None:
        super().__init__()
        self._source = source
        self._frames = frames
        self._target = size
        self._at = -1
        self.n_frames = len(frames)
        self.durations = [self._duration(frame) for frame in range(len(frames))]
        self.seek(0)
        self.info = {**self.info, "background": (0, 0, 0, 0)}

    def seek(self, frame: int) -> None:
        if frame != self._at:
            self._source.seek(self._frames[frame])
            picture = finished(self._source, self._target)
            self.im, self._mode, self._size, self.info = picture.im, picture.mode, picture.size, picture.info
            self._at = frame

    def tell(self) -> int:
        return self._at

    def _duration(self, frame: int) -> int:
        """Milliseconds; reads the frame, so that a damaged one is found before anything is written."""
        self._source.seek(self._frames[frame])
        self._source.load()
        milliseconds: float = self._source.info.get("duration", 0)
        return max(0, round(milliseconds))


def save(picture: Image.Image, wish: Wish, **options: Any) -> None:
    """Encode; of the metadata the colour profile always stays, EXIF and XMP unless they are to be stripped."""
    info = {} if wish.strip else picture.info
    try:
        picture.save(
            wish.target,
            "WEBP",
            quality=wish.quality,
            lossless=wish.lossless,
            icc_profile=picture.info.get("icc_profile", b""),
            exif=info.get("exif", b""),
            xmp=info.get("xmp", b""),
            **options,
        )
    except (ValueError, RuntimeError) as error:
        if str(error) == OUT_OF_MEMORY:
            raise MemoryError(str(error)) from error
        raise ConversionRefused("not_encodable", f"the image can't be written as WebP ({error})") from error


def effort(pixels: int) -> int:
    """How hard to try, so that the limit on CPU time is kept."""
    return next((method for most, method in EFFORTS if pixels <= most), 0)


if __name__ == "__main__":
    main()
