"""Versions and ages of the programs that jobs need, asked for once; and systemd's judgement of our own unit."""

import re
import shutil
from asyncio import Lock, to_thread
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing
from secondunit.handlers.tools.programs.ports import Programs
from secondunit.queue.outcome import Deterministic
from secondunit.queue.value import Value

ANSWERS_WITHIN = timedelta(seconds=10)
MOST_LINES = 2000
DATED = re.compile(r"(20[0-9]{2})\.([0-9]{1,2})\.([0-9]{1,2})")
DENO = re.compile(r"deno ([0-9][^ ]{0,40})")
UNIT = re.compile(r"/([A-Za-z0-9:_.@-]{1,200}\.service)$", re.MULTILINE)
EXPOSURE = re.compile(r"Overall exposure level for .{1,300}: ([0-9]{1,2}(?:\.[0-9])?) ")
CGROUP = Path("/proc/self/cgroup")


class Program(Value, frozen=True):
    """A program; `version` is None where there is none. `dated` is of its release, if that is known, or of its file."""

    name: str
    version: str | None
    path: str | None = None
    dated: datetime | None = None


class KnownPrograms:
    """Asks each program once in the daemon's life: a newer one is used from the next start on, too."""

    def __init__(
        self,
        programs: Programs,
        media: Media | MediaMissing,
        engine: Mapping[str, str],
        python: str,
        path: str,
        cgroup: Path = CGROUP,
    ) -> None:
        self._programs = programs
        self._media = media
        self._engine = engine
        self._search = f"{Path(python).parent}:{path}"
        self._cgroup = cgroup
        self._found: tuple[Sequence[Program], float | None] | None = None
        self._asking = Lock()

    async def __call__(self) -> tuple[Sequence[Program], float | None]:
        """The programs, and how exposed the unit is that runs us: 0 to 10, as `systemd-analyze security` has it."""
        async with self._asking:
            if self._found is None:
                self._found = await self._programs_of_jobs(), await self._exposure()
        return self._found

    async def _programs_of_jobs(self) -> Sequence[Program]:
        deno = await to_thread(shutil.which, "deno", path=self._search)
        told = _first(DENO, await self._lines(deno, "--version")) if deno else None
        return [
            await to_thread(_ffmpeg, self._media),
            await to_thread(_ytdlp),
            Program("deno", told, deno, await to_thread(_written, deno)),
            *(Program(name, version) for name, version in self._engine.items()),
        ]

    async def _exposure(self) -> float | None:
        """Of no unit, or where systemd can't be asked, nothing is known."""
        unit = _first(UNIT, await to_thread(self._cgroup.read_text, "utf-8", "replace"))
        if unit is None:
            return None
        analyze = await to_thread(shutil.which, "systemd-analyze", path=self._search)
        lines = await self._lines(analyze, "security", "--no-pager", unit) if analyze else ""
        found = _first(EXPOSURE, lines)
        return None if found is None else float(found)

    async def _lines(self, program: str, *arguments: str) -> str:
        lines: list[str] = []

        async def hear(line: str) -> None:
            if len(lines) < MOST_LINES:
                lines.append(line)

        try:
            await self._programs.run([program, *arguments], cwd=Path("/"), on_line=hear, timeout=ANSWERS_WITHIN)
        except (Deterministic, TimeoutError):
            return ""
        return "\n".join(lines)


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[1] if match else None


def _ffmpeg(media: Media | MediaMissing) -> Program:
    if isinstance(media, MediaMissing):
        return Program("ffmpeg", None)
    return Program("ffmpeg", media.version, media.ffmpeg, _written(media.ffmpeg))


def _ytdlp() -> Program:
    try:
        found = version("yt-dlp")
    except PackageNotFoundError:
        return Program("yt-dlp", None)
    return Program("yt-dlp", found, None, released(found))


def released(version: str) -> datetime | None:
    """The day that a version of yt-dlp names."""
    match = DATED.match(version)
    try:
        return datetime(*map(int, match.groups()), tzinfo=UTC) if match else None  # type: ignore[misc, arg-type]  # three
    except ValueError:
        return None


def _written(path: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(Path(path).stat().st_mtime, UTC) if path else None
    except OSError:
        return None
