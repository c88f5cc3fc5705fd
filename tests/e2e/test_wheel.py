"""The wheel in a venv of its own, with the dependencies that are locked: what a checkout has for an operator."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(900)]
UV = CHECKOUT / ".uv" / "bin" / "uv"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but a venv that has the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        "build",
        "--wheel",
        "--quiet",
        "--build-constraints",
        "requirements-setup.lock",
        "--out-dir",
        str(folder),
        ".",
    ]
    subprocess.run([UV, *build], cwd=CHECKOUT, check=True, timeout=300)
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], cwd=folder, check=True)
    into = ["pip", "install", "--quiet", "--offline", "--python", str(folder / "venv" / "bin" / "python")]
    locked = [*into, "--require-hashes", "-r", str(CHECKOUT / "requirements.lock")]
    done = subprocess.run([UV, *locked], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(
            f"THE WHEEL IS NOT INSTALLED: uv's cache lacks what is locked; `make setup` fills it: {done.stderr}"
        )
    [wheel] = folder.glob("*.whl")
    subprocess.run([UV, *into, "--no-deps", str(wheel)], cwd=folder, check=True, timeout=300)
    if shutil.which("ffmpeg") is None:  # a part of it that `make setup` leaves out where PATH has one
        ffmpeg = ["--no-deps", "--require-hashes", "-r", str(CHECKOUT / ".uv" / "ffmpeg.lock")]
        subprocess.run([UV, *into, *ffmpeg], cwd=folder, check=True, timeout=300)
    return folder


@pytest.fixture
def run(place: Path, tmp_path: Path) -> Iterator[Run]:
    """Runs what is installed, in an empty folder, with nothing of the checkout on any path."""
    empty = tmp_path / "empty"
    empty.mkdir()
    ffmpeg = [str(Path(found).parent) for found in (shutil.which("ffmpeg"), shutil.which("node")) if found]
    path = os.pathsep.join([str(place / "venv" / "bin"), *ffmpeg, "/usr/bin", "/bin"])

    def run(*argv: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PATH": path, "HOME": str(tmp_path), "SECONDUNIT_CONFIG": os.devnull}
        done = subprocess.run(argv, cwd=empty, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    yield run
    assert sorted(empty.iterdir()) == [], "it leaves nothing where it was called"


def test_the_demo_runs_from_an_empty_folder(run: Run, tmp_path: Path) -> None:
    done = run("secondunit", "demo", "--data-dir", str(tmp_path / "demo"))
    film = tmp_path / "demo" / "media" / "out" / "film" / "master.m3u8"
    assert film.is_file() and str(film) in done.stdout


def test_the_units_and_the_reference_are_there(run: Run) -> None:
    told = run("secondunit", "service", "install", "--dry-run").stdout
    for unit in ("secondunit.service", "secondunit-backup.service", "secondunit-backup.timer"):
        assert f"/etc/systemd/system/{unit}" in told
    assert ".TH" in run("secondunit", "manual").stdout
    assert "media_roots" in run("secondunit", "config", "init", "-").stdout


def test_the_clients_and_examples_are_there(run: Run, place: Path) -> None:
    run("python", "-c", "from secondunit.client import AsyncClient, Client, Receiver")
    [package] = (place / "venv").glob("lib/python3*/site-packages/secondunit")
    for name in (
        "media/clip.mp4",
        "backend/server.mjs",
        "worker/worker.mjs",
        "worker/jobs.mjs",
        "monitoring/prometheus.yml",
    ):
        assert (package / "examples" / name).is_file(), name
    if shutil.which("node"):
        told = run(
            "node",
            "-e",
            f"import({str(package / 'clients/node/src/index.js')!r}).then((it) => console.log(it.Client.name))",
        )
        assert told.stdout == "Client\n"


def test_everything_that_is_no_code_comes_along(place: Path) -> None:
    [wheel] = place.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "secondunit", "examples", "systemd"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {name if name.startswith("secondunit/") else f"secondunit/{name}" for name in tracked.stdout.splitlines()}
    assert names - packed == set()
    assert [name for name in packed if "node_modules" in name or name.startswith(("tests/", "clients/"))] == []
