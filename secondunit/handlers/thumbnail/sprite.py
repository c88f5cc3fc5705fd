"""Sprite sheet (storyboard) and its WebVTT index for scrubbing: which tile is shown when; pure."""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from secondunit.handlers.thumbnail.timestamps import Share
from secondunit.queue.value import Value

LARGEST_SIDE = 16_383  # pixels; what a WebP can have
MOST_PIXELS = 7680 * 7680  # an AVIF of so many has been made within the encoder's limits
TILE = "#xywh="  # a part of a picture, as Media Fragments URI 1.0 names it
SHORTEST = 0.04  # seconds; of what nobody knows the length of


class Sprite(Value, frozen=True):
    """A grid of tiles, each `width` x `height` pixels, filled row by row."""

    columns: int
    rows: int
    width: int
    height: int

    @property
    def tiles(self) -> int:
        """How many there are."""
        return self.columns * self.rows

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture."""
        return self.columns * self.width, self.rows * self.height

    @property
    def too_large(self) -> str | None:
        """What keeps players, or an encoder here, from having such a picture; None when nothing does."""
        width, height = self.size
        if max(width, height) > LARGEST_SIDE:
            return f"the whole picture would be {width}x{height}, and a side may have {LARGEST_SIDE} pixels"
        if width * height > MOST_PIXELS:
            return f"the whole picture would be {width}x{height}, more than {MOST_PIXELS // 1_000_000} million pixels"
        return None


def shares(sprite: Sprite) -> Sequence[Share]:
    """The moments of the tiles: even, the first at the very beginning."""
    return [Share(number / sprite.tiles) for number in range(sprite.tiles)]


def index(sprite: Sprite, picture: str, duration: float | None) -> str:
    """The WebVTT file beside a sheet of that name: a cue for each tile, from its moment to the next tile's.

    What Video.js, Plyr, JW and Shaka read: a relative URL with a spatial fragment (Media Fragments URI 1.0, 4.2.2).
    """
    return "\n\n".join(["WEBVTT", *_cues(sprite, quote(picture), duration or SHORTEST)]) + "\n"


def _cues(sprite: Sprite, url: str, duration: float) -> Iterator[str]:
    starts = [round(1000 * duration * share.of) for share in shares(sprite)]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], round(1000 * duration)], strict=True)):
        row, column = divmod(number, sprite.columns)
        where = f"{column * sprite.width},{row * sprite.height},{sprite.width},{sprite.height}"
        if end > start:
            yield f"{_clock(start)} --> {_clock(end)}\n{url}{TILE}{where}"


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"
