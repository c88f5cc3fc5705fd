"""Picture encoder: writes frames that ffmpeg took in another format, as a program of its own, under limits.

What a video's maker chose decides how much memory that takes (an AVIF of 8190 x 8190 needs 1.2 GB), so it is not the
daemon's. Reads one JSON object from stdin: {pictures: [{frames, columns, target, options}], most_bytes}; prints
for each picture one to stdout: {look} or {error, message}. Several frames are the tiles of one picture, in rows of so
many `columns`. `most_bytes` bounds a JPEG, whose quality falls until it fits.
"""

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

from PIL import Image  # noqa: TID253 - this program is the place where it is loaded

LARGEST = 200_000_000  # pixels
LOWER = (60, 40, 20)  # qualities
OUT_OF_MEMORY = ("encoding error 1", "out of memory")  # libwebp's words and libavif's, in small letters
COLUMNS, ROWS = 8, 8


def main() -> None:
    """One request; an answer for each picture."""
    Image.MAX_IMAGE_PIXELS = LARGEST // 2  # Pillow raises above twice this
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    wish = json.load(sys.stdin)
    for picture in wish["pictures"]:
        sys.stdout.write(json.dumps(answer(picture, wish["most_bytes"])) + "\n")
        sys.stdout.flush()


def answer(picture: Mapping[str, Any], most_bytes: int | None) -> Mapping[str, Any]:
    """Write one picture; what it looks like, or what kept it from being written."""
    try:
        with grid(picture["frames"], picture["columns"]) as image:
            write(image, Path(picture["target"]), picture["options"], most_bytes)
            return {"look": look(image)}
    except (MemoryError, Image.DecompressionBombError) as error:
        return {"error": "image_too_large", "message": f"a picture of this size needs too much memory ({error})"}
    except (ValueError, RuntimeError) as error:
        if str(error).lower().endswith(OUT_OF_MEMORY):
            return {"error": "image_too_large", "message": f"a picture of this size needs too much memory ({error})"}
        return {"error": "not_encodable", "message": f"the picture can't be written in this format ({error})"}


def grid(frames: Sequence[str], columns: int) -> Image.Image:
    """The only frame, or all of them in one picture, row by row."""
    first = Image.open(frames[0], formats=("PPM",))
    if len(frames) == 1:
        return first
    width, height = first.size
    first.close()
    whole = Image.new("RGB", (width * columns, height * ceil(len(frames) / columns)))
    for number, frame in enumerate(frames):
        with Image.open(frame, formats=("PPM",)) as tile:
            whole.paste(tile, (number % columns * width, number // columns * height))
    return whole


def write(image: Image.Image, target: Path, options: Mapping[str, Any], most_bytes: int | None) -> None:
    """Encode into a file; one that may have so many bytes only gets a lower quality until it does."""
    if most_bytes is None:
        image.save(target, **options)
        return
    made = BytesIO()
    for quality in (options["quality"], *LOWER):
        made.seek(0)
        made.truncate()
        image.save(made, **{**options, "quality": quality})
        if made.tell() <= most_bytes:
            break
    target.write_bytes(made.getvalue())


def look(image: Image.Image) -> int:
    """A hash that is close for pictures that look alike: in 8 rows 8 steps each, brighter or not."""
    row = image.convert("L").resize((COLUMNS + 1, ROWS), Image.Resampling.BOX).tobytes()
    width = COLUMNS + 1
    bits = [row[y * width + x] < row[y * width + x + 1] for y in range(ROWS) for x in range(COLUMNS)]
    return sum(bit << i for i, bit in enumerate(bits))


if __name__ == "__main__":
    main()
