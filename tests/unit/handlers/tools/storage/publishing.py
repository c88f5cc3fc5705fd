"""Staging and publishing of one output."""

from pathlib import Path

from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.testing.handler_kit import FakeContext


async def publish(files: LocalFiles, path: Path, ctx: FakeContext, **parts: str) -> None:
    """Publish a folder of small files."""
    async with files.folder(str(path), ctx) as staged:
        for name, text in parts.items():
            (staged.path / name).write_text(text)
        await staged.publish({"parts": sorted(parts)})
