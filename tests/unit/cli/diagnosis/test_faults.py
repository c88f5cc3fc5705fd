"""Doctor finds what was planted: each fault by its check, with what to do, and none where all is well."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aiohttp import web

from secondunit.cli.diagnosis import exposure, folders, process, programs, unit
from secondunit.cli.diagnosis.situation import Situation
from secondunit.cli.host.installation import Found
from secondunit.cli.host.units import SERVICE, ours
from secondunit.daemon.wiring.backend import operators_session
from secondunit.testing.fakes.listening import listening
from tests.unit.cli.diagnosis.situations import REPORT, Box, data_of, only

NOBODY = 65534


async def test_no_ffmpeg_is_found(box: Any, tmp_path: Path) -> None:
    here = await asyncio.to_thread(box, FFMPEG_PATH=str(tmp_path / "none"), FFPROBE_PATH=str(tmp_path / "none"))
    [check] = await programs.ffmpeg(here)
    assert check.state == "bad" and str(tmp_path / "none") in check.found and "apt install ffmpeg" in check.remedy


@pytest.mark.parametrize(("types", "asked"), [("webp,locations", False), ("webp,hls", True)])
async def test_programs_that_no_served_type_calls_are_not_missed(
    box: Any, tmp_path: Path, types: str, asked: bool
) -> None:
    none = str(tmp_path / "none")
    here = await asyncio.to_thread(box, FFMPEG_PATH=none, FFPROBE_PATH=none, TYPES=types)
    [ffmpeg], [ytdlp] = await programs.ffmpeg(here), await programs.ytdlp(here)
    assert (ffmpeg.state == "bad", ffmpeg.found == programs.UNWANTED) == (asked, not asked)
    assert ytdlp.found == programs.UNWANTED, "locations ask Gemini first, for which there is no key"
    assert await programs.git(here) == [], "nothing is to be deployed"


async def test_a_git_that_deploys_need_is_looked_for(box: Any, tmp_path: Path) -> None:
    file = tmp_path / "deploys.toml"
    table = f'[deploy.site]\nrepo_url = "https://example.com/site.git"\ndirectory = "{tmp_path / "www"}"\n'
    await asyncio.to_thread(file.write_text, table)
    here = await asyncio.to_thread(box, SECONDUNIT_CONFIG=str(file))
    assert [check.state for check in await programs.git(here)] == ["ok"]
    [check] = await programs.git(here, where=str(tmp_path))
    assert check.state == "bad" and "nothing can be deployed" in check.found and "apt install git" in check.remedy


async def test_an_ffmpeg_without_what_jobs_need_is_found(box: Any, tmp_path: Path) -> None:
    poor = tmp_path / "ffmpeg"
    poor.write_text("#!/bin/sh\ncase $* in *muxers*) echo '  E mp4   MP4';; *) echo 'ffmpeg version 5.1 x';; esac\n")
    poor.chmod(0o755)
    here = await asyncio.to_thread(box, FFMPEG_PATH=str(poor), FFPROBE_PATH=str(poor))
    [check] = await programs.ffmpeg(here)
    assert check.state == "bad" and all(word in check.found for word in ("libx264", "aac", "hls", "mpegts"))
    assert "mp4" not in check.found


async def test_an_old_ytdlp_is_found(box: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await asyncio.to_thread(box)
    metadata = tmp_path / "old" / "yt_dlp-2023.01.06.dist-info" / "METADATA"
    await asyncio.to_thread(metadata.parent.mkdir, parents=True)
    await asyncio.to_thread(metadata.write_text, "Metadata-Version: 2.1\nName: yt-dlp\nVersion: 2023.1.6\n")
    monkeypatch.syspath_prepend(tmp_path / "old")
    [check] = await programs.ytdlp(here)
    assert check.state == "bad" and "2023.1.6 is" in check.found and "upgrade" in check.remedy


@pytest.mark.parametrize(("days", "state"), [(59, "ok"), (61, "warn"), (181, "bad")])
def test_ytdlp_ages(box: Box, days: int, state: str) -> None:
    here = box()
    found = f"{here.now - timedelta(days=days):%Y.%m.%d}"
    assert programs.judged(found, here.now, here.around.programs).state == state
    assert programs.judged("one of mine", here.now, here.around.programs).state == "warn"


AS_THE_ACCOUNT = """
import asyncio, os
from pathlib import Path
from secondunit.cli.diagnosis import folders, situation
from secondunit.cli.host.account import act_as_owner
from secondunit.cli.host.units import Layout
here = asyncio.run(situation.found(os.environ, Layout(Path("/none")), {}))
act_as_owner(here.settings.data_dir)
print(*folders.roots(here))
"""


def test_a_root_that_the_daemons_account_can_not_write_is_found() -> None:
    """Root's own rights say nothing: what is asked is what the owner of DATA_DIR may."""
    with TemporaryDirectory() as folder:  # pytest's own lies where no other account gets in
        media = Path(folder, "media")
        media.mkdir()
        media.chmod(0o555)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        argv, environ = [sys.executable, "-c", AS_THE_ACCOUNT], {"DATA_DIR": folder, "SECONDUNIT_CONFIG": os.devnull}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
        media.chmod(0o755)
    assert "state='bad'" in done.stdout and f"{media} can't be written by user" in done.stdout, done


def test_a_root_that_is_gone_is_found(box: Box) -> None:
    here = box()
    (data_of(here) / "media").rmdir()
    check = only(folders.roots(here), "media root")
    assert check.state == "bad" and "is no folder" in check.found and "install -d" in check.remedy


FILL = """
import asyncio, os, sys
from pathlib import Path
from secondunit.cli.diagnosis import folders, situation
from secondunit.cli.host.units import Layout
with open(Path(sys.argv[1], "filler"), "wb") as file:
    os.posix_fallocate(file.fileno(), 0, (32 << 20) - (256 << 10))
environ = {"DATA_DIR": sys.argv[1], "SECONDUNIT_CONFIG": os.devnull}
print(*folders.disks(asyncio.run(situation.found(environ, Layout(Path("/none")), {}))))
"""


def test_a_full_disk_is_found(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=32m none "$1" && exec "$0" -c "$2" "$1"'
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, sys.executable, str(tmp_path), FILL]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ran.returncode and "unshare" in ran.stderr:
        pytest.skip("needs a mount namespace: NOT TESTED")
    assert "state='bad'" in ran.stdout and f"the disk of {tmp_path} is full" in ran.stdout, ran
    assert "free some space" in ran.stdout


def test_a_wrong_clock_is_found(box: Box) -> None:
    here = box()
    later = time.time() + 86400
    os.utime(here.settings.database.path, (later, later))
    check = only(process.clock(here), "clock")
    assert check.state == "bad" and "queue.db was written at" in check.found and "set the clock" in check.remedy
    old = replace(here, now=process.WRITTEN - timedelta(days=1))
    assert "before this program was written" in next(process.clock(old)).found


def installed(here: Situation) -> Path:
    """An installed unit, with every file as this version has it; the program."""
    assert here.config is not None
    program = here.layout.root / "bin" / "secondunit"
    at = Found(here.layout, program, here.config)
    for path, content in ours(here.layout, program, at.folders()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_a_bad_unit_is_found(box: Box) -> None:
    here = box()
    program = installed(here)
    assert [check.state for check in unit.unit(here, program)] == ["ok"]
    file = here.layout.unit(SERVICE)
    file.write_text(file.read_text().replace("ProtectSystem=strict", "ProtectSystem=no"))
    check = only(unit.unit(here, program), "unit")
    assert check.state == "bad" and str(file) in check.found and "`secondunit service install`" in check.remedy


def test_a_unit_of_a_program_that_is_gone_is_found(box: Box) -> None:
    here = box()
    program = installed(here)
    program.unlink()
    check = only(unit.unit(here, program), "unit")
    assert check.state == "bad" and f"starts {program}, which is no program" in check.found


def test_what_systemd_says_of_the_unit_is_told(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = box()
    program = installed(here)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "systemctl").write_text(
        "#!/bin/sh\necho ActiveState=failed\necho Result=exit-code\necho ExecMainStatus=78\necho NRestarts=3\n"
        "echo 'Environment=PYTHONSAFEPATH=1 \"PORT=9\"'\n"
    )
    (tmp_path / "bin" / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = [check.found for check in unit.unit(here, program)]
    assert found == ["systemd gave the service up (exit-code, exit code 78)", "systemd restarted it 3 times"]
    assert unit.variables() == {"PYTHONSAFEPATH": "1", "PORT": "9"}


def test_world_readable_data_is_found(box: Box) -> None:
    here = box()
    assert only(folders.privacy(here), "privacy").state == "ok"
    data_of(here).chmod(0o755)
    assert only(folders.privacy(here), "privacy").state == "warn", "its files are closed"
    (data_of(here) / "queue.db").chmod(0o644)
    check = only(folders.privacy(here), "privacy")
    assert check.state == "bad" and "queue.db" in check.found and "chmod -R o-rwx" in check.remedy


def test_secrets_in_a_file_for_everybody_are_found_and_not_told(box: Box, tmp_path: Path) -> None:
    (config := tmp_path / "config.toml").write_text('gemini_api_key = "hunter2-hunter2"\n')
    config.chmod(0o644)
    check = only(folders.privacy(box(SECONDUNIT_CONFIG=str(config))), "privacy")
    assert check.state == "bad" and "GEMINI_API_KEY" in check.found and "hunter2" not in check.found


@asynccontextmanager
async def proxy(status: int) -> AsyncIterator[str]:
    """A stand-in for a proxy in front of a daemon: its health, and its jobs with this status."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        return web.json_response({"jobs": []}, status=status)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with listening(app) as url:
        yield url


@pytest.mark.parametrize(
    ("keys", "status", "found"),
    [
        (True, 401, []),
        (False, 403, ["is published, and there is no key"]),
        (False, 200, ["is published, and there is no key", "serves anybody, without a key"]),
        (True, 200, ["serves anybody, without a key"]),
    ],
)
async def test_a_daemon_published_without_a_key_is_found(box: Any, keys: bool, status: int, found: list[str]) -> None:
    async with proxy(status) as url, operators_session("test") as session:
        here = replace(await asyncio.to_thread(box, PUBLIC_URL=url), report={**REPORT, "keys": keys})
        checks = await exposure.published(here, session)
    bad = [check for check in checks if check.state == "bad"]
    assert [check.found.removeprefix(f"{url} ") for check in bad] == found
    assert all("secondunit keys add" in check.remedy for check in bad)


async def test_a_proxy_that_leads_nowhere_is_found(box: Any) -> None:
    here = replace(await asyncio.to_thread(box, PUBLIC_URL=f"http://127.0.0.1:{closed()}"), report=REPORT)
    async with operators_session("test") as session:
        [check] = await exposure.published(here, session)
    assert check.state == "bad" and "refused the connection" in check.found and "PUBLIC_URL" in check.remedy


def closed() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_no_sandbox_is_found(box: Box) -> None:
    [check] = asyncio.run(programs.sandbox(box(SANDBOX="off")))
    assert check.state == "bad" and "SANDBOX=auto" in check.remedy
