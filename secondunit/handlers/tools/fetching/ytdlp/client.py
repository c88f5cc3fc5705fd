"""yt-dlp client: a video, or its subtitles, by a child program that can only go out by the egress proxy."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from yarl import URL

from secondunit.handlers.tools.byte_progress import ByteProgress
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.fetching.host_pauses import HostPauses
from secondunit.handlers.tools.fetching.ports import Captions, FetchedVideo
from secondunit.handlers.tools.fetching.sniffing import ENOUGH, not_media
from secondunit.handlers.tools.fetching.ytdlp.faults import YtDlpFault, judge
from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing
from secondunit.handlers.tools.network.proxy import Egress, Permit
from secondunit.handlers.tools.programs.failures import failure
from secondunit.handlers.tools.programs.ports import Limits, Profile, Programs
from secondunit.handlers.tools.programs.runner import SEARCH_PATH
from secondunit.handlers.tools.subtitles.cue import Cue, cues_file
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Transient

CHILD = Path(__file__).parent / "child.py"
CPU_SECONDS, OWN_MEMORY = 4 * 3600, 3 << 30  # of each of its processes; V8 alone reserves 50 GB of addresses
SPARE = 32 * 1024 * 1024  # pages, playlists, what a container adds
MOST_SUBTITLES = 8 * 1024 * 1024
SUBTITLES = "subtitles"
NONE = "no_subtitles"
LONGEST_READING = timedelta(minutes=10)
# yt-dlp's own order, but that AV1 comes last of the codecs: what can't be decoded here is of no use to other jobs.
WITHOUT_AV1 = ("lang", "quality", "res", "fps", "hdr:12", "vcodec:vp9.2")
ANYTHING = "b*"  # what is not downloaded is chosen all the same
Order = Mapping[str, Any]
CONTAINERS = frozenset({"mp4", "mkv", "webm", "mov", "m4a", "mp3", "ogg", "wav", "flac", "aac"})
SOUND_ONLY = frozenset({"m4a", "mp3", "ogg", "wav", "flac", "aac"})


@dataclass(frozen=True, slots=True)
class VideoWish:
    """Which video, at most how large; `suffix` is the wanted container's, `height` the most lines that are of use.

    With `subtitles` those come too if there are any: in this language, else in the video's own.
    """

    url: str
    most_bytes: int
    suffix: str | None = None
    height: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: str | None = None
    subtitles: bool = False
    language: str | None = None


class YtDlp:
    """yt-dlp, run by the interpreter `python`; a host that wants to be left alone is, for all jobs.

    Subtitles that come along with a video may take as long as `extra`.
    """

    def __init__(
        self,
        programs: Programs,
        egress: Egress,
        clock: Clock,
        media: Media | MediaMissing,
        python: str,
        *,
        extra: timedelta = timedelta(seconds=30),
    ) -> None:
        self._programs = programs
        self._egress = egress
        self._clock = clock
        self._pauses = HostPauses(clock)
        self._ffmpeg = media.ffmpeg if isinstance(media, Media) else None
        self._sort = [] if not isinstance(media, Media) or media.decodes_av1 else list(WITHOUT_AV1)
        self._runs = [Path(media.ffmpeg), Path(media.ffprobe)] if isinstance(media, Media) else []
        self._deno = shutil.which("deno", path=f"{Path(python).parent}:{SEARCH_PATH}")
        self._python = python
        self._extra = extra

    async def fetch(self, wish: VideoWish, ctx: JobContext) -> FetchedVideo:
        """As the port `Videos` promises; Postponed while the host is left alone."""
        container = (wish.suffix or "").lstrip(".").lower()
        file = ctx.workspace.run / SUBTITLES
        order = {
            "url": wish.url,
            "most_bytes": wish.most_bytes,
            "format": _format(container, wish.height, merges=self._ffmpeg is not None),
            "sort": self._sort,
            "container": container if container in CONTAINERS else None,
            "headers": dict(wish.headers),
            "cookies": wish.cookies,
            "film": True,
            "subtitles": _subtitles(file, wish.language, self._extra) if wish.subtitles else None,
        }
        done = await self._done(order, ctx, ctx.workspace.kept, wish.most_bytes)
        cues = await in_thread(_cues, file) if "language" in (done["subtitles"] or {}) else ()
        return await in_thread(_fetched, done, wish, ctx.workspace.kept, cues)

    async def captions(self, url: str, ctx: JobContext, *, language: str | None) -> Captions:
        """As the port `Subtitled` promises; Postponed while the host is left alone."""
        file = ctx.workspace.run / SUBTITLES
        order = {
            "url": url,
            "most_bytes": MOST_SUBTITLES,
            "format": ANYTHING,
            "sort": [],
            "container": None,
            "headers": {},
            "cookies": None,
            "film": False,
            "subtitles": _subtitles(file, language, None),
        }
        done = await self._done(order, ctx, ctx.workspace.run, MOST_SUBTITLES)
        found = done["subtitles"]
        if found is None:
            raise Deterministic(f"{url}: this video has no subtitles, so what is said in it can't be read", type=NONE)
        cues = await in_thread(_cues, file)
        if not cues:
            raise Deterministic(f"{url}: this video's subtitles hold no words", type=NONE)
        return Captions(done["title"], done["duration"], done["description"], found["language"], found["kind"], cues)

    async def _done(self, order: Order, ctx: JobContext, folder: Path, most_bytes: int) -> Mapping[str, Any]:
        """What came of an order that is carried out in this folder."""
        url = order["url"]
        host = URL(url).host or ""
        self._pauses.pass_through(host)
        with self._egress.permit(most_bytes + most_bytes // 4 + SPARE) as permit:
            answer = await self._run(order, permit, ctx, folder)
        done = answer.get("done")
        beside = ((done or {}).get("subtitles") or {}).get("fault")
        if done and not (beside and permit.denied):
            return cast(Mapping[str, Any], done)
        what = f"the subtitles of {url}" if beside or answer.get("subtitles") else url
        error = _meaning(YtDlpFault.of(beside or answer["fault"]), what, most_bytes, permit, ctx.attempt)
        if isinstance(error, Transient) and error.delay:
            self._pauses.close(host, error.delay, str(error))
        raise error

    async def _run(self, order: Order, permit: Permit, ctx: JobContext, folder: Path) -> Mapping[str, Any]:
        answers: list[Mapping[str, Any]] = []
        progress = ByteProgress(ctx, self._clock)

        async def on_line(line: str) -> None:
            said = json.loads(line)
            ctx.beat()
            if "progress" in said:
                now = said["progress"]
                await progress.tell(now["bytes"], now["total"], fraction=now["fraction"])
            elif "step" not in said:
                answers.append(said)

        told = {**order, "proxy": permit.url, "ffmpeg": self._ffmpeg, "deno": self._deno}
        finished = await self._programs.run(
            [self._python, "-I", str(CHILD)],
            cwd=folder,
            log=ctx.workspace.log,
            env=self._environment(ctx.workspace.run),
            limits=Limits(file_size=order["most_bytes"] + SPARE, cpu_seconds=CPU_SECONDS, own_memory=OWN_MEMORY),
            profile=Profile("yt-dlp", runs=self._runs, writes=[ctx.workspace.run], reach=self._egress.port),
            on_line=on_line,
            stdin=json.dumps(told).encode(),
            beat=ctx.beat,
            timeout=None if order["film"] else LONGEST_READING,
        )
        if finished.returncode != 0 or not answers:
            raise failure("yt-dlp", finished, ctx.attempt)
        return answers[-1]

    def _environment(self, home: Path) -> Mapping[str, str]:
        return {
            "PATH": SEARCH_PATH,
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "YTDLP_NO_PLUGINS": "1",
            "DENO_NO_UPDATE_CHECK": "1",
        }


def _subtitles(file: Path, language: str | None, within: timedelta | None) -> Mapping[str, Any]:
    seconds = within.total_seconds() if within else None
    return {"language": language, "file": str(file), "most_bytes": MOST_SUBTITLES, "seconds": seconds}


def _cues(file: Path) -> Sequence[Cue]:
    """The cues that the program read."""
    with cues_file(file).open() as lines:
        return [Cue(*json.loads(line)) for line in lines]


def _fetched(done: Mapping[str, Any], wish: VideoWish, kept: Path, cues: Sequence[Cue]) -> FetchedVideo:
    path = kept / done["name"]
    size = path.stat().st_size
    if size > wish.most_bytes:
        raise Deterministic(f"{wish.url}: the video has {size} bytes, {wish.most_bytes} are allowed", type="too_large")
    with path.open("rb") as file:
        instead = not_media(file.read(ENOUGH))
    if instead:
        raise Deterministic(f"{wish.url}: what came is {instead}, not a video", type="not_media")
    return FetchedVideo(path, size, done["title"], done["url"], cues)


def _meaning(fault: YtDlpFault, what: str, most_bytes: int, permit: Permit, attempt: int) -> Transient | Deterministic:
    """What the proxy refused explains a failure better than what the program made of it."""
    if permit.denied:
        return Deterministic(
            f"{what} leads to an address that may not be reached: {permit.denied}", type="egress_denied"
        )
    if permit.spent:
        return Deterministic(f"{what}: more than {most_bytes} bytes came", type="too_large")
    return judge(fault, what, attempt)


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
