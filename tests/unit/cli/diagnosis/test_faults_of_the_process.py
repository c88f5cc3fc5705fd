"""Doctor finds a daemon that is not as it should be: unanswered, second, or with other settings."""

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from secondunit.cli.diagnosis import process, situation, store
from secondunit.cli.host.units import Layout
from secondunit.daemon.process.lock import box_lock
from tests.unit.cli.diagnosis.situations import REPORT, Box, data_of, only


def listener(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def test_a_second_daemon_on_the_same_folder_is_found(box: Box) -> None:
    here = box()
    (data_of(here) / "link").symlink_to(data_of(here))
    with ExitStack() as stack:
        stack.enter_context(listener(here.settings.control))
        assert only(process.second_daemon(here), "second daemon").state == "ok"
        stack.enter_context(listener(data_of(here) / "link" / "control.sock"))
        check = only(process.second_daemon(here), "second daemon")
    assert check.state == "bad" and "2 daemons listen" in check.found and "DATA_DIR of its own" in check.remedy


LOCKS = """
import sys, time
from pathlib import Path
from secondunit.daemon.process.lock import box_lock
with box_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_daemon_that_has_the_database_and_does_not_answer_is_found(box: Box) -> None:
    here = box()
    assert only(process.daemon(here), "daemon").state == "warn", "none runs"
    argv = [sys.executable, "-c", LOCKS, str(here.settings.database.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        check = only(process.daemon(here), "daemon")
        assert check.state == "bad" and "does not answer" in check.found
        answers = replace(here, report={**REPORT, "pid": 1})
        check = only(process.second_daemon(answers), "second daemon")
        assert check.state == "bad" and f"process {holder.pid} holds" in check.found
        holder.communicate("")
    with box_lock(here.settings.database.path):
        assert process.holders(here.settings) == set(), "doctor itself is no daemon"


async def test_a_daemon_that_takes_the_question_and_hangs_is_given_up(tmp_path: Path) -> None:
    server = await asyncio.to_thread(listener, tmp_path / "control.sock")
    with server:
        environ = {"DATA_DIR": str(tmp_path), "SECONDUNIT_CONFIG": os.devnull}
        here = await situation.found(environ, Layout(tmp_path / "root"), {}, within=0.05)
    assert here.hangs and here.report is None
    check = await asyncio.to_thread(lambda: only(process.daemon(here), "daemon"))
    assert check.state == "bad" and "gave no answer" in check.found


def test_settings_that_can_not_be_used_are_the_finding_and_hide_nothing(box: Box, tmp_path: Path) -> None:
    here = box(PORT="x", MEDIA_ROOTS=f"{tmp_path}:{tmp_path / 'none'}")
    bad = [check.found for check in process.settings(here) if check.state == "bad"]
    assert [fault.partition(":")[0] for fault in bad] == ["PORT", "MEDIA_ROOTS", "MEDIA_ROOTS"]
    assert here.settings.data_dir == tmp_path / "data", "so that all else is looked at"
    assert only(store.store(here), "database").state == "ok"


def test_what_files_say_and_the_running_daemon_does_not_have_is_told(box: Box, tmp_path: Path) -> None:
    (config := tmp_path / "config.toml").write_text("port = 9000\nlease_seconds = 30\n")
    here = box(SECONDUNIT_CONFIG=str(config))
    running = replace(here, report={**REPORT, "settings": {"PORT": 8000, "LEASE_SECONDS": 30}})
    [warned, _] = process.settings(running)
    assert warned.state == "warn" and "PORT" in warned.found and "LEASE" not in warned.found


def test_the_settings_in_effect_are_the_running_daemons(box: Box) -> None:
    local = box().settings
    shown = {"DATA_DIR": "/srv/su", "PORT": 9, "GEMINI_API_KEY": "***", "MEDIA_ROOTS": ["/srv/media"], "OF_ANOTHER": 1}
    found = situation.in_effect(shown, local)
    assert (found.data_dir, found.port, found.roots) == (Path("/srv/su"), 9, (Path("/srv/media"),))
    assert found.gemini_api_key is None and situation.in_effect({"PORT": "x"}, local) is local
