"""Animations, frame by frame: what plays, for how long, how often, on which canvas."""

from collections.abc import Sequence

from PIL import Image  # noqa: TID253 - part of the converter's program
from PIL.GifImagePlugin import GifImageFile  # noqa: TID253 - the same

from secondunit.handlers.webp.pixels import finished

MOST_LOOPS = 65535
TO_BACKGROUND = 2  # GIF89a, 23c iv; 3, "restore to previous", means the same of a first frame


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
            show(self._source, self._frames[frame])
            picture = finished(self._source, self._target)
            self.im, self._mode, self._size, self.info = picture.im, picture.mode, picture.size, picture.info
            self._at = frame

    def tell(self) -> int:
        return self._at

    def _duration(self, frame: int) -> int:
        """Milliseconds; reads the frame, so that a damaged one is found before anything is written."""
        show(self._source, self._frames[frame])
        milliseconds: float = self._source.info.get("duration", 0)
        return max(0, round(milliseconds))


def show(image: Image.Image, frame: int) -> None:
    """Decode a frame; what a GIF leaves bare of its canvas is transparent, as in every browser, and not black."""
    image.seek(frame)
    image.load()
    if not isinstance(image, GifImageFile) or frame > 0 or image.mode not in ("P", "L"):
        return
    extent = image.dispose_extent
    if extent and extent != (0, 0, *image.size):
        canvas = Image.new("RGBA", image.size)
        canvas.paste(image.convert("RGBA").crop(extent), extent)
        image.im, image._mode = canvas.im, canvas.mode  # noqa: SLF001 - as Pillow's own plugins set them
        image.info["transparency"] = 0  # so that Pillow disposes to transparent
        if image.disposal_method >= TO_BACKGROUND:
            image.dispose = Image.new("RGBA", (extent[2] - extent[0], extent[3] - extent[1])).im
