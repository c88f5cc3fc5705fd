"""Doctor and a live daemon: what is well is told so, what the daemon alone knows is asked, and it is left in peace."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.fakes.nominatim import Nominatim
from tests.e2e.conftest import Daemon, beside, environment_of

pytestmark = pytest.mark.e2e
KEY = "a-key-of-the-operators"


def doctor(data: Path, **environ: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Its exit code, and the first finding of each name."""
    command = [sys.executable, "-m", "secondunit", "doctor", "--json"]
    environment = environment_of(data) | environ
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert KEY not in done.stdout + done.stderr
    checks = json.loads(done.stdout)["checks"]
    states = [check["state"] for check in checks]
    assert states == sorted(states, key=["bad", "warn", "ok"].index), "the worst first"
    assert all(check["remedy"] for check in checks if check["state"] != "ok")
    return done.returncode, {check["name"]: check for check in reversed(checks)}


def test_a_healthy_box_has_nothing_bad_until_a_second_daemon_comes(start: Any, tmp_path: Path) -> None:
    """It is the daemon's own key that is tried: this shell has none."""
    gemini, geocoder = StandIn(keys=[KEY]), Nominatim()
    with (
        beside(lambda stack: stack.enter_async_context(gemini.serving())) as url,
        beside(lambda stack: stack.enter_async_context(geocoder.serving())) as places,
    ):
        daemon: Daemon = start(GEMINI_API_KEY=KEY, GEMINI_BASE_URL=url, GEOCODER_URL=places).ready()
        code, found = doctor(daemon.data)
        assert (code, [check for check in found.values() if check["state"] == "bad"]) == (0, [])
        assert found["settings"]["found"] == "the running daemon"
        assert f"process {daemon.process.pid}" in found["daemon"]["found"]
        assert "the key is taken" in found["gemini"]["found"] and not gemini.asked
        assert found["database"]["state"] == "ok" and daemon.call("GET", "/health").body["status"] == "ok"
        second: Daemon = start(QUEUE_URL=f"sqlite:///{tmp_path}/another.db").ready()
        code, found = doctor(daemon.data)
        assert code == 1 and "2 daemons listen" in found["second daemon"]["found"] and second.process.poll() is None


def test_without_a_daemon_and_with_nothing_there_it_says_so(tmp_path: Path) -> None:
    code, found = doctor(tmp_path / "none", PORT="x", FFMPEG_PATH="/none")
    assert code == 1 and found["settings"]["found"].startswith("PORT: ") and found["ffmpeg"]["state"] == "bad"
    assert "no daemon runs" in found["daemon"]["found"] and "there is none yet" in found["database"]["found"]
    assert not (tmp_path / "none").exists(), "it changes nothing"
