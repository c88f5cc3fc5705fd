"""Checks of the programs that jobs need: ffmpeg and what it can do, yt-dlp and its age, deno, the sandbox."""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from secondunit.cli.diagnosis.situation import Situation
from secondunit.cli.diagnosis.threads import apart
from secondunit.daemon.config.job_types import programs_of
from secondunit.daemon.diagnosis.checks import CheckResult, bad, ok, warn
from secondunit.daemon.diagnosis.sandbox import sandbox_check
from secondunit.daemon.sight.programs import released
from secondunit.daemon.wiring.sandbox import measured_in
from secondunit.handlers.tools.media.ffmpeg import REMEDY, MediaMissing, find_media
from secondunit.handlers.tools.programs.runner import SEARCH_PATH, ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import OFF

ENCODERS, FILTERS = ("libx264", "aac", "pcm_s16le", "ppm"), ("scale", "yadif", "signalstats", "aresample")
UNWANTED = "not asked: no job type that is served here needs it"
MUXERS = ("hls", "mp4", "mpegts")
AGED, OLD = timedelta(days=60), timedelta(days=180)


async def ffmpeg(here: Situation) -> Sequence[CheckResult]:
    """As the daemon looks for it, with what each job type needs of it."""
    if not await _wanted(here, "ffmpeg"):
        return [ok("ffmpeg", UNWANTED)]
    settings, programs = here.settings, ProcessRunner(sys.executable)
    given, probe = (str(path) if path else None for path in (settings.ffmpeg_path, settings.ffprobe_path))
    media = await find_media(programs, given, probe, SEARCH_PATH, Path("/"))
    if isinstance(media, MediaMissing):
        return [bad("ffmpeg", media.why, f"{REMEDY}, and restart")]
    lacking = [*media.lacking(ENCODERS, FILTERS), *await _lacking_muxers(media.ffmpeg)]
    told = f"{media.ffmpeg}, version {media.version}"
    if lacking:
        return [bad("ffmpeg", f"{told}, was built without {', '.join(lacking)}", f"{REMEDY}, and restart")]
    if not media.tonemaps:
        return [warn("ffmpeg", f"{told}, can't bring HDR to SDR", "use one with zscale and tonemap, or 7.1 or newer")]
    but = "" if media.decodes_av1 else "; films in AV1 it can't decode"
    return [ok("ffmpeg", f"{told}, has all that jobs need{but}")]


async def _wanted(here: Situation, program: str) -> bool:
    """Whether a type that is served here calls it."""
    programs = await apart(programs_of, here.settings)
    return programs is None or program in programs


async def _lacking_muxers(program: str) -> Sequence[str]:
    pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    argv = (program, "-hide_banner", "-muxers")
    process = await asyncio.create_subprocess_exec(*argv, stdin=none, stdout=pipe, stderr=none, cwd="/")
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    rows = (line.split() for line in output.decode(errors="replace").splitlines())
    known = {name for row in rows if len(row) > 1 for name in row[1].split(",")}
    return [name for name in MUXERS if name not in known]


async def ytdlp(here: Situation) -> Sequence[CheckResult]:
    """Sites change every few weeks, and what can't follow them any more fails."""
    if not await _wanted(here, "yt-dlp"):
        return [ok("yt-dlp", UNWANTED)]
    try:
        found = await apart(version, "yt-dlp")
    except PackageNotFoundError:
        return [
            bad("yt-dlp", "it is not installed: `download` of videos fails", "install secondunit with all it needs")
        ]
    return [judged(found, here.now, here.around.programs)]


def judged(found: str, now: datetime, upgrade: str) -> CheckResult:
    """A version of yt-dlp by its date."""
    day = released(found)
    if day is None:
        return warn("yt-dlp", f"version {found} has no date", "use a release of yt-dlp")
    age = now - day
    told = f"version {found} is {age.days} days old"
    remedy = f"upgrade it ({upgrade}), and restart"
    if age > OLD:
        return bad("yt-dlp", f"{told}: many sites have changed since", remedy)
    return warn("yt-dlp", told, remedy) if age > AGED else ok("yt-dlp", told)


async def versions(here: Situation) -> Sequence[CheckResult]:
    """For the report; and deno, which sites' own code needs."""
    python = ".".join(map(str, sys.version_info[:3]))
    own = f"secondunit {await apart(version, 'secondunit')}, Python {python}, SQLite {sqlite3.sqlite_version}"
    deno = await apart(shutil.which, "deno", path=f"{Path(sys.executable).parent}:{SEARCH_PATH}")
    if deno is None and await _wanted(here, "deno"):
        found, remedy = "deno is missing: some sites' videos can't be fetched", "install the package `deno`"
        return [ok("versions", own), warn("deno", found, remedy)]
    return [ok("versions", own), ok("deno", deno or UNWANTED)]


async def git(here: Situation, where: str = SEARCH_PATH) -> Sequence[CheckResult]:
    """What deploys fetch with, where there are projects to deploy."""
    if not here.settings.deploy or not await _wanted(here, "git"):
        return []
    path = await apart(shutil.which, "git", path=where)
    if path is None:
        return [bad("git", f"no git in {where}: nothing can be deployed", "install git (Debian: apt install git)")]
    return [ok("git", path)]


async def sandbox(here: Situation) -> Sequence[CheckResult]:
    """Tried here, where no daemon says what it found."""
    if here.settings.sandbox == "off":
        return [sandbox_check("off", OFF)]
    folder = here.settings.data_dir
    if not await apart(os.access, folder, os.W_OK):
        return [ok("sandbox", f"not tried: {folder} is not there yet, or not yours")]
    return [sandbox_check(here.settings.sandbox, await measured_in(folder))]
