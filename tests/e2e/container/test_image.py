"""The image is built from the Dockerfile as it stands, and run as compose.yaml says: shut off, healthy, drained."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import CHECKOUT
from tests.e2e.container.engine import Engine, NoEngine, engine

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(3600)]
COMPOSE: Any = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())["services"]["secondunit"]
IMAGE = COMPOSE["image"]
NAME = "secondunit-under-test"
FILM = """
cp /opt/secondunit/examples/media/* /srv/media/
cd /srv/media && $(find /opt -name ffmpeg-linux-x64) -v error -stream_loop 30 -i clip.mp4 -c copy long.mp4
"""
ASKED = """
import urllib.request, urllib.error
try:
    urllib.request.urlopen("http://127.0.0.1:8000/api/jobs")
except urllib.error.HTTPError as refused:
    print(refused.code)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that has the image."""
    try:
        with engine(tmp_path_factory.mktemp("engine"), CHECKOUT / ".cache") as ready:
            ready("build", *ready.build, "--network", "host", "--tag", IMAGE, str(CHECKOUT))
            yield ready
    except NoEngine as why:
        pytest.skip(f"THE CONTAINER IS NOT BUILT AND NOT RUN: {why}")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "api_key"
    file.write_text(secrets.token_urlsafe(24))
    file.chmod(0o444)  # the daemon's user is another one outside
    return file


def as_composed() -> list[str]:
    """What compose.yaml says of how it runs, but for its network: it has none here."""
    said = ["--network", "none", "--cap-drop", "ALL", "--pids-limit", str(COMPOSE["pids_limit"])]
    said += ["--read-only"] * COMPOSE["read_only"]
    said += [word for option in COMPOSE["security_opt"] for word in ("--security-opt", option.replace(":true", ""))]
    said += [word for place in COMPOSE["tmpfs"] for word in ("--tmpfs", place)]
    return said


def until(what: str, true: Callable[[], object], within: float = 90.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.5)


def test_it_serves_shut_off_and_drains(built: Engine, secret: Path) -> None:
    volumes = ["--volume", "data:/var/lib/secondunit", "--volume", "media:/srv/media"]
    key = ["--volume", f"{secret}:/run/secrets/api_key:ro"]
    built("run", "--detach", "--name", NAME, *as_composed(), *built.start, *volumes, *key, IMAGE)

    def inside(*argv: str, check: bool = True) -> str:
        return built("exec", NAME, *argv, check=check).stdout

    until("it is healthy", lambda: inside("secondunit", "health", check=False).startswith("ok"))
    assert json.loads(inside("secondunit", "health", "--json"))["sandbox"]["seccomp"] is True
    assert inside("python3", "-c", ASKED).strip() == "401", "a key is demanded"
    assert inside("id", "-u").strip() == "10001" and inside("cat", "/proc/1/comm").strip() == "tini"
    for shut in ("/etc/x", "/opt/secondunit/x"):
        assert built("exec", NAME, "touch", shut, check=False).returncode != 0
    inside("sh", "-c", FILM)
    done = inside(*"secondunit submit thumbnail --wait --json -p videoPath=/srv/media/clip.mp4".split(),
                  "-p", "outputPath=/srv/media/clip.jpg")  # fmt: skip
    assert json.loads(done.splitlines()[-1])["status"] == "completed"

    film = ["-p", "inputPath=/srv/media/long.mp4", "-p", "outputDir=/srv/media/film"]
    job = inside("secondunit", "submit", "hls", "--quiet", *film).strip()
    until("the film runs", lambda: json.loads(inside("secondunit", "jobs", "show", job, "--json"))["progress"])
    built("stop", "--time", COMPOSE["stop_grace_period"].removesuffix("s"), NAME)
    assert built("inspect", "--format", "{{.State.ExitCode}}", NAME).stdout.strip() == "0"
    built("start", NAME)
    until("it is healthy again", lambda: inside("secondunit", "health", check=False).startswith("ok"))
    shown = json.loads(inside("secondunit", "jobs", "show", job, "--json"))
    assert (shown["status"], len(shown["attempts"])) == ("completed", 1), "it ended before the daemon did"
    built("stop", "--time", "60", NAME)


def test_it_does_not_start_without_a_key(built: Engine) -> None:
    done = built("run", "--rm", *as_composed(), *built.start, IMAGE, check=False)
    assert done.returncode == 78 and "key" in done.stdout + done.stderr
