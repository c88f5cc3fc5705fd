"""`secondunit demo`: what a newcomer runs first."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.slow]


def demo(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secondunit", "demo", "--data-dir", str(folder), *options]
    # Settings of the caller must not reach the demo's daemon.
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": "/nonexistent", "PORT": "broken", **environ}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=55, check=False)


def test_the_demo_says_where_the_film_lies_and_leaves_no_daemon(tmp_path: Path) -> None:
    done = demo(tmp_path / "new")
    assert done.returncode == 0, done.stderr
    film = tmp_path / "new" / "media" / "out" / "film" / "master.m3u8"
    assert film.read_text().startswith("#EXTM3U") and str(film) in done.stdout
    assert not (tmp_path / "new" / "data" / "control.sock").exists()
    assert "drained" in (tmp_path / "new" / "daemon.log").read_text()


def test_the_demo_works_from_the_wheel(tmp_path: Path) -> None:
    build = f"build --wheel --quiet --build-constraints requirements-setup.lock --out-dir {tmp_path} .".split()
    subprocess.run([CHECKOUT / ".uv" / "bin" / "uv", *build], cwd=CHECKOUT, check=True, timeout=90)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    done = demo(tmp_path / "new", PYTHONPATH=str(tmp_path / "installed"), PYTHONSAFEPATH="1")
    assert done.returncode == 0, done.stderr


def test_the_demo_touches_no_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "queue.db").write_text("mine")
    done = demo(tmp_path)
    assert done.returncode == 1 and "holds other things" in done.stderr
    assert (tmp_path / "data" / "queue.db").read_text() == "mine"


def test_the_failover_demo_ends_with_the_recipes_in_the_backend_and_says_what_stood_in(tmp_path: Path) -> None:
    done = demo(tmp_path / "new", "--failover", GEMINI_API_KEY="a real one", GEMINI_BASE_URL="http://127.0.0.1:1")
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("is a STAND-IN", "analysis-3 has its recipe", "asked 3 times (the stand-in)", "970 of 1000"):
        assert said in done.stdout
    assert "backend:  http://127.0.0.1:" in done.stdout
    assert "drained" in (tmp_path / "new" / "daemon.log").read_text()


def test_the_failover_demo_says_that_it_needs_node(tmp_path: Path) -> None:
    bare = tmp_path / "bin"  # an interpreter beside which there is no node either
    bare.mkdir()
    done = demo(tmp_path / "new", "--failover", PATH=str(bare))
    if (Path(sys.executable).parent / "node").exists():
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1 and "no node is on PATH" in done.stderr and "apt install nodejs" in done.stderr
