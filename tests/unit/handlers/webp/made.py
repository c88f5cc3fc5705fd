"""What the tests of the webp job share: the handler run on given bytes, and small pictures."""

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw  # noqa: TID253 - the judge of what was made

from secondunit.handlers.webp import handler as webp
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.outcome import Deterministic
from secondunit.testing.handler_kit import FakeContext

ORIENTATION = 0x0112
RED, BLUE = (220, 30, 30), (30, 30, 220)


class Converter:
    """The handler, run on pictures that are put beneath its root."""

    def __init__(self, spec: HandlerSpec, root: Path) -> None:
        self.spec = spec
        self.root = root

    async def __call__(
        self, content: bytes, name: str = "picture", **wishes: Any
    ) -> tuple[Mapping[str, Any], Image.Image]:
        """Convert; the result and the picture that was made."""
        (self.root / name).write_bytes(content)
        payload = {"inputPath": str(self.root / name), "outputPath": str(self.root / "out.webp"), **wishes}
        checked = webp.WebpPayload.model_validate(payload)
        assert self.spec.check is not None
        self.spec.check(checked)
        result = await self.spec.run(await FakeContext.open(self.root.parent), checked)
        made = Image.open(io.BytesIO((self.root / "out.webp").read_bytes()))
        assert made.format == "WEBP"
        assert result["outputPath"] == str(self.root / "out.webp")
        assert result["size"] == (self.root / "out.webp").stat().st_size
        assert (result["width"], result["height"]) == made.size
        assert result["frames"] == getattr(made, "n_frames", 1)
        return result, made

    async def refusal(self, content: bytes, name: str = "picture") -> Deterministic:
        """Why it is not converted."""
        (self.root / "out.webp").unlink(missing_ok=True)
        with pytest.raises(Deterministic) as caught:
            await self(content, name)
        assert not (self.root / "out.webp").exists()
        return caught.value


def halves(mode: str = "RGB", size: tuple[int, int] = (80, 40)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), BLUE)
    return image.convert(mode)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def near(pixel: Any, colour: tuple[int, ...], by: int = 24) -> bool:
    return all(abs(one - other) <= by for one, other in zip(pixel, colour, strict=True))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
