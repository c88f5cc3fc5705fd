"""The HLS ladder beside bare ffmpeg: wall and CPU of our daemon, of the same graph by hand, of one ffmpeg a rung."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil
from asking import call
from beside import LeftOut
from daemons import daemon, media

from secondunit.handlers.hls.encode import hls_argv
from secondunit.handlers.hls.plan import HlsPlan, plan
from secondunit.handlers.tools.media.ffmpeg import Media, find_media
from secondunit.handlers.tools.media.probe import pictures, probe
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext

FILM = files("iscc_samples") / "files" / "video" / "demo.mp4"
QUALITIES = ["1080p", "720p", "480p"]
# A film whose key frames lie too far apart to be copied, and one that is its largest rung already.
DOUBTFUL = ("film", "1280:720", "-crf 20 -g 250 -keyint_min 250 -sc_threshold 0")
TAGS = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"
SURE = ("camera", "1920:1080", f"-crf 22 -maxrate 4000k -bufsize 8000k -g 48 -sc_threshold 0 {TAGS} -ac 2")
Film = tuple[str, str, str]
CLIPS = Path(__file__).parents[1] / ".cache" / "bench"
WITHIN = 300
Figures = dict[str, float]
Argv = Callable[[Media, str, HlsPlan], list[str]]


def ours(folder: Path, seconds: float, film: Film = DOUBTFUL, rungs: int = 3) -> Figures:
    """An `hls` job by HTTP, to its end; CPU of the daemon and of all that it started."""
    payload = {"inputPath": str(put(folder, clip(seconds, film))), "outputDir": str(media(folder) / "film")}
    figures, result = job(folder, "hls", payload | {"qualities": QUALITIES[:rungs]})
    if any(rung["copied"] for rung in result["renditions"]) != (film == SURE):
        raise RuntimeError(f"what is copied is not what was to be measured: {result['renditions']}")
    return figures


def job(folder: Path, type: str, payload: Mapping[str, object], times: int = 1) -> tuple[Figures, dict[str, Any]]:
    """So many jobs by HTTP, one after the other, each to its end; wall and CPU of one, and its result."""
    with daemon(folder) as server:
        process = psutil.Process(server.process.pid)
        before, began = _used(process), time.perf_counter()
        for _ in range(times):
            made = call(server.port, "POST", "/api/jobs", {"type": type, "payload": payload})
            while (told := call(server.port, "GET", f"/api/jobs/{made['jobId']}"))["status"] in ("queued", "running"):
                if time.perf_counter() - began > WITHIN:
                    raise TimeoutError(f"a job of type {type} took too long")
                time.sleep(0.05)
            if told["status"] != "completed":
                raise RuntimeError(f"a job of type {type} failed: {told['error']}")
        took = time.perf_counter() - began
        return {"wall s": took / times, "CPU s": (_used(process) - before) / times}, told["result"]


def put(folder: Path, film: Path) -> Path:
    """The film, on the disk where the daemon on this folder reads it."""
    place = media(folder) / film.name
    shutil.copyfile(film, place)
    os.sync()
    return place


def same_graph(folder: Path, seconds: float, film: Film = DOUBTFUL, rungs: int = 3) -> Figures:
    """One ffmpeg that encodes all pictures as our job does, and the sound, with nothing around it."""
    return _timed(folder, film, seconds, [lambda media, source, todo: _bare(media, source, _first(todo, rungs))])


def each_rung(folder: Path, seconds: float) -> Figures:
    """One ffmpeg after the other, each with one rung; the sound is made once, by the first."""

    def only(i: int) -> Argv:
        def argv(media: Media, source: str, todo: HlsPlan) -> list[str]:
            audio = todo.audio if i == 0 else None
            return _bare(media, source, replace(todo, renditions=todo.renditions[i : i + 1], audio=audio))

        return argv

    _, todo = _planned(clip(seconds, DOUBTFUL))
    return _timed(folder, DOUBTFUL, seconds, [only(i) for i in range(len(todo.renditions))])


def _bare(media: Media, source: str, todo: HlsPlan) -> list[str]:
    *argv, overwrite = hls_argv(media, source, replace(todo, audio=None), None)
    if todo.audio:
        argv += ["-map", f"0:{todo.audio.index}", "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"]
        argv += ["-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "sound.m3u8"]
    return [*argv, overwrite]


def _first(todo: HlsPlan, rungs: int) -> HlsPlan:
    return replace(todo, renditions=todo.renditions[:rungs])


def clip(seconds: float, film: Film) -> Path:
    """A film with sound: the small one of iscc-samples, looped, enlarged, with grain as a camera's."""
    name, size, options = film
    path = CLIPS / f"{name}-{seconds:g}.mp4"
    if not path.exists():
        CLIPS.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part.mp4")
        look = f"scale={size}:flags=bicubic,setsar=1,noise=alls=2:allf=t,format=yuv420p"
        argv = [_media().ffmpeg, "-y", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", str(FILM), "-vf", look]
        argv += ["-t", f"{seconds:g}", "-c:v", "libx264", "-preset", "veryfast", *options.split(), "-c:a", "aac"]
        subprocess.run([*argv, str(half)], check=True, timeout=WITHIN)
        half.rename(path)
    return path


def _timed(folder: Path, film: Film, seconds: float, argvs: Sequence[Argv]) -> Figures:
    source = put(folder, clip(seconds, film))
    found, todo = _planned(source)
    used, began = 0.0, time.perf_counter()
    for number, argv in enumerate(argvs):
        home = folder / str(number)
        home.mkdir()
        process = subprocess.Popen(
            argv(found, f"file:{source}", todo), cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"ffmpeg ended with {process.returncode}")
        used += usage.ru_utime + usage.ru_stime
    return {"wall s": time.perf_counter() - began, "CPU s": used}


@lru_cache(maxsize=1)
def _media() -> Media:
    env = os.environ
    found = asyncio.run(
        find_media(
            ProcessRunner(sys.executable), env.get("FFMPEG_PATH"), env.get("FFPROBE_PATH"), env.get("PATH", ""),
            Path("/"),
        )
    )  # fmt: skip
    if not isinstance(found, Media):
        raise LeftOut(found.remedy)
    return found


def _planned(source: Path) -> tuple[Media, HlsPlan]:
    """What our job type would do with it."""

    async def decide() -> HlsPlan:
        files = LocalFiles([source.parent], log=folder_log())
        try:
            with tempfile.TemporaryDirectory() as folder:
                ctx = await FakeContext.open(Path(folder) / "job")
                async with files.source(str(source)) as opened:
                    info = await probe(ProcessRunner(sys.executable), _media(), opened, ctx)
            return plan(info, pictures(info, opened.name), QUALITIES, "fmp4")
        finally:
            files.close()

    return _media(), asyncio.run(decide())


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
