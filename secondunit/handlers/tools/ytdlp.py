"""Downloads the video behind a page or a stream with yt-dlp, as a child program that can only go out by the proxy."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from yarl import URL

from secondunit.handlers.tools.egress import Egress, Permit
from secondunit.handlers.tools.endings import in_thread
from secondunit.handlers.tools.failures import failure
from secondunit.handlers.tools.ffmpeg import Media, MediaMissing
from secondunit.handlers.tools.gates import Gates
from secondunit.handlers.tools.pace import Pace
from secondunit.handlers.tools.ports import FetchedVideo, Limits, Programs
from secondunit.handlers.tools.process import SEARCH_PATH
from secondunit.handlers.tools.sniff import ENOUGH, not_media
from secondunit.handlers.tools.ytdlp_faults import Fault, judge
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Transient

CHILD = Path(__file__).parent / "ytdlp_child.py"
SPARE = 32 * 1024 * 1024  # pages, playlists, what a container adds
STALL = timedelta(minutes=5)
CONTAINERS = frozenset({"mp4", "mkv", "webm", "mov", "m4a", "mp3", "ogg", "wav", "flac", "aac"})
SOUND_ONLY = frozenset({"m4a", "mp3", "ogg", "wav", "flac", "aac"})


@dataclass(frozen=True, slots=True)
class VideoWish:
    """Which video, at most how large; `suffix` is the wanted container's, `height` the most lines that are of use."""

    url: str
    most_bytes: int
    suffix: str | None = None
    height: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: str | None = None


class YtDlp:
    """yt-dlp, run by the interpreter `python`; a host that wants to be left alone is, for all jobs."""

    def __init__(
        self, programs: Programs, egress: Egress, clock: Clock, media: Media | MediaMissing, python: str
    ) -> None:
        self._programs = programs
        self._egress = egress
        self._clock = clock
        self._gates = Gates(clock)
        self._ffmpeg = media.ffmpeg if isinstance(media, Media) else None
        self._deno = shutil.which("deno", path=f"{Path(python).parent}:{SEARCH_PATH}")
        self._python = python

    async def fetch(self, wish: VideoWish, ctx: JobContext) -> FetchedVideo:
        """As the port `Videos` promises; Postponed while the host's gate is closed."""
        host = URL(wish.url).host or ""
        self._gates.pass_through(host)
        with self._egress.permit(wish.most_bytes + wish.most_bytes // 4 + SPARE) as permit:
            answer = await self._run(wish, permit, ctx)
        if "done" in answer:
            return await in_thread(_fetched, answer["done"], wish, ctx.workspace.kept)
        error = _meaning(Fault.of(answer["fault"]), wish, permit, ctx.attempt)
        if isinstance(error, Transient) and error.delay:
            self._gates.close(host, error.delay, str(error))
        raise error

    async def _run(self, wish: VideoWish, permit: Permit, ctx: JobContext) -> Mapping[str, Any]:
        answers: list[Mapping[str, Any]] = []
        pace = Pace(ctx, self._clock)

        async def on_line(line: str) -> None:
            said = json.loads(line)
            if "progress" in said:
                now = said["progress"]
                await pace.tell(now["bytes"], now["total"], fraction=now["fraction"])
            elif "step" not in said:
                answers.append(said)

        finished = await self._programs.run(
            [self._python, "-I", str(CHILD)],
            cwd=ctx.workspace.kept,
            log=ctx.workspace.log,
            env=self._environment(ctx.workspace.run),
            limits=Limits(file_size=wish.most_bytes + SPARE),
            on_line=on_line,
            stdin=json.dumps(self._told(wish, permit)).encode(),
            stall=STALL,
        )
        if finished.returncode != 0 or not answers:
            raise failure("yt-dlp", finished, ctx.attempt)
        return answers[-1]

    def _told(self, wish: VideoWish, permit: Permit) -> Mapping[str, Any]:
        container = (wish.suffix or "").lstrip(".").lower()
        return {
            "url": wish.url,
            "proxy": permit.url,
            "most_bytes": wish.most_bytes,
            "format": _format(container, wish.height, merges=self._ffmpeg is not None),
            "container": container if container in CONTAINERS else None,
            "headers": dict(wish.headers),
            "cookies": wish.cookies,
            "ffmpeg": self._ffmpeg,
            "deno": self._deno,
        }

    def _environment(self, home: Path) -> Mapping[str, str]:
        return {
            "PATH": SEARCH_PATH,
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "YTDLP_NO_PLUGINS": "1",
            "DENO_NO_UPDATE_CHECK": "1",
        }


def _fetched(done: Mapping[str, Any], wish: VideoWish, kept: Path) -> FetchedVideo:
    path = kept / done["name"]
    size = path.stat().st_size
    if size > wish.most_bytes:
        raise Deterministic(f"{wish.url}: the video has {size} bytes, {wish.most_bytes} are allowed", type="too_large")
    with path.open("rb") as file:
        instead = not_media(file.read(ENOUGH))
    if instead:
        raise Deterministic(f"{wish.url}: what came is {instead}, not a video", type="not_media")
    return FetchedVideo(path, size, done["title"], done["url"])


def _meaning(fault: Fault, wish: VideoWish, permit: Permit, attempt: int) -> Transient | Deterministic:
    """What the proxy refused explains a failure better than what the program made of it."""
    if permit.denied:
        return Deterministic(
            f"{wish.url} leads to an address that may not be reached: {permit.denied}", type="egress_denied"
        )
    if permit.spent:
        return Deterministic(f"{wish.url}: more than {wish.most_bytes} bytes came", type="too_large")
    return judge(fault, wish.url, attempt)


def _format(container: str, height: int | None, *, merges: bool) -> str:
    """A format selection: the wanted container's own formats first, else anything that can be put into it."""
    if container in SOUND_ONLY:
        return "ba/b"
    low = f"[height<=?{height}]" if height else ""
    sound = {"mp4": "m4a", "mov": "m4a"}.get(container, container)
    own = f"bv*{low}[ext={container}]+ba[ext={sound}]/b{low}[ext={container}]/" if container in CONTAINERS else ""
    if not merges:
        return f"b{low}/b"
    return f"{own}bv*{low}+ba/b{low}/bv*+ba/b"
