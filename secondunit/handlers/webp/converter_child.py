"""WebP converter: a program of its own, under limits, because pictures come from strangers.

Reads one JSON object from stdin: {source, target, quality, width, lossless, strip}; prints one to stdout: either
{width, height, frames, warnings} or {error, message}. What it can't foresee ends it with a traceback and exit code 1.
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
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin, UnidentifiedImageError  # noqa: TID253 - this program is the place where it is loaded

sys.path.insert(0, str(Path(__file__).parents[3]))  # the code beside it, whatever else is installed

from secondunit.handlers.webp.animation import Animation, loops, show
from secondunit.handlers.webp.mending import MOST_METADATA, mended
from secondunit.handlers.webp.pixels import ORIENTATION, finished

LARGEST, LONGEST_SIDE, LARGEST_FILM = 100_000_000, 16383, 500_000_000
LEAST_FRAME = 50_000  # pixels: however small it is, a frame takes as long as so many
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "PPM", "JPEG2000", "QOI", "ICO")
HEIF = "HEIF"
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # ISO/IEC 23008-12, annex B
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
# What Pillow's readers raise for damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, struct.error, zlib.error)
# The machine's errors, not the picture's; others (EINVAL for a place before the file's beginning) damage brings about.
MACHINE = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOMEM, errno.EAGAIN, errno.ESTALE, errno.EFBIG)
EFFORTS = ((25_000_000, 4), (200_000_000, 2))  # libwebp's method for so many pixels: noise takes 0.6 and 0.1 s a MP
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
    """Read, turn upright, scale and write the picture or animation; damage that costs no pixel is a warning."""
    Image.MAX_IMAGE_PIXELS = LARGEST // 2  # Pillow raises above twice this
    PngImagePlugin.MAX_TEXT_CHUNK = MOST_METADATA
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    source = Path(wish.source)
    try:
        return converted(wish, source) | {"warnings": []}
    except ConversionRefused as refusal:
        if refusal.type != "unreadable":
            raise
        with damage_is_told():
            whole = mended(source)
        if whole is None:
            raise
        return converted(wish, BytesIO(whole[0])) | {"warnings": [whole[1]]}


def converted(wish: Wish, source: Path | BytesIO) -> dict[str, Any]:
    """The same from a sound file."""
    with damage_is_told():
        image = opened(source)
    with image:
        frames = judge(image)
        with damage_is_told():
            size = target_size(image, wish.width)
        pixels = size[0] * size[1] * len(frames)
        if len(frames) == 1:
            with damage_is_told():
                image.draft(image.mode, draft_size(image, size))
                show(image, image.tell())
                picture = finished(image, size)
            save(picture, wish, method=effort(pixels))
        else:
            with damage_is_told():
                picture = Animation(image, frames, size)
            save(picture, wish, method=effort(pixels), save_all=True, duration=picture.durations, loop=loops(image))
        return {"width": size[0], "height": size[1], "frames": written_frames(Path(wish.target))}


def opened(source: Path | BytesIO) -> Image.Image:
    """The picture, by its content; the reader of HEIC files is loaded for those only."""
    formats: tuple[str, ...] = FORMATS
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(12)
        if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
            from pillow_heif import register_heif_opener

            register_heif_opener()
            formats = (*FORMATS, HEIF)
    return Image.open(source, formats=formats)


@contextmanager
def damage_is_told() -> Iterator[None]:
    """Turn what Pillow raises on damaged files into a refusal; errors of the machine pass as they are."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in MACHINE:
            raise
        known = ", ".join((*FORMATS, HEIF))
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
    # Pillow turns TIFF files by itself, and their size is the turned one from the start.
    return image.format != "TIFF" and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)


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


def written_frames(path: Path) -> int:
    """How many frames a WebP file holds (RIFF chunks ANMF); the encoder makes one of frames that are equal."""
    count = 0
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            count += head[:4] == b"ANMF"
            length = int.from_bytes(head[4:], "little")
            file.seek(length + length % 2, 1)
    return max(count, 1)


def effort(pixels: int) -> int:
    """How hard to try, so that the limit on CPU time is kept."""
    return next((method for most, method in EFFORTS if pixels <= most), 0)


if __name__ == "__main__":
    main()
