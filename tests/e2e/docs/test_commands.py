"""The commands of the tutorial and the how-to pages are run as they stand, page by page, or the page says why not."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from secondunit.daemon.config.loader import load
from tests.e2e.conftest import CHECKOUT
from tests.e2e.docs.pages import DOCS, Block, blocks, settings
from tests.local_s3 import local_s3
from tests.ports import free_port

pytestmark = pytest.mark.e2e

PAGES = sorted(page for folder in ("tutorial", "how-to") for page in (DOCS / folder).glob("*.md"))
RUN = [page for page in PAGES if any(block.shows is not None for block in blocks(page.read_text()))]
START = """\
.venv/bin/secondunit run 2>>log.txt &
curl -s --retry 30 --retry-all-errors --retry-delay 1 127.0.0.1:8000/health >/dev/null
"""
WITHIN = 180.0


@pytest.fixture
def surroundings(request: pytest.FixtureRequest) -> Iterator[Mapping[str, str]]:
    """What a page takes for granted beside its own settings: buckets, or a key for Gemini."""
    with ExitStack() as stack:
        given: dict[str, str] = {}
        if request.node.callspec.id == "s3":
            s3 = stack.enter_context(local_s3())
            s3.ask("PUT", "films")
            s3.put("films/incoming/film.mp4", (CHECKOUT / "examples/media/clip.mp4").read_bytes())
            given = s3.environment()
        if request.node.callspec.id == "trailtag":
            given = {"GEMINI_API_KEY": "of nobody", "GEMINI_BASE_URL": f"http://127.0.0.1:{free_port()}"}
        yield given


@pytest.mark.slow
@pytest.mark.media
@pytest.mark.timeout(240)  # twenty seconds; on a machine with much else to do, minutes
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path, surroundings: Mapping[str, str]) -> None:
    text = page.read_text()
    run = [(block.text, block.shows) for block in blocks(text) if block.shows is not None]
    own = any("secondunit run" in commands for commands, _ in run)
    parts = ["" if own else START, *(f"{{\n{commands}}} >shown-{n} 2>&1\n" for n, (commands, _) in enumerate(run))]
    (tmp_path / ".venv").symlink_to(CHECKOUT / ".venv")
    shutil.copytree(CHECKOUT / "examples", tmp_path / "examples")
    (tmp_path / "data" / "media").mkdir(parents=True)
    (tmp_path / "config.toml").write_text(settings(text))
    port = free_port()
    script = "\n".join(["set -euo pipefail", *parts]).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    path = f"{CHECKOUT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    ours = {"PATH": path, "HOME": str(tmp_path), "PORT": str(port), "SECONDUNIT_CONFIG": str(tmp_path / "config.toml")}
    with (tmp_path / "errors").open("wb") as errors:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=tmp_path, env={**ours, **surroundings}, stdin=subprocess.DEVNULL,
            stderr=errors, stdout=errors, start_new_session=True,
        )  # fmt: skip
        try:
            code = shell.wait(WITHIN)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    told = [(tmp_path / f"shown-{n}").read_text() for n in range(len(run)) if (tmp_path / f"shown-{n}").exists()]
    log = tmp_path / "log.txt"
    assert code == 0, [(tmp_path / "errors").read_text(), *told[-1:], log.read_text()[-2000:] if log.exists() else ""]
    assert [shows for (_, shows), text in zip(run, told, strict=True) if shows not in text] == [], told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_commands_is_run_or_says_why_not(page: Path) -> None:
    bare = [block.text for block in blocks(page.read_text()) if block.kind == "sh" and not block.said]
    assert bare == [], 'put `<!-- run "what it shows" -->` in front, or `<!-- not run: why -->`'


def test_a_block_without_a_word_and_one_without_a_reason_are_found() -> None:
    assert [Block(mark, "sh", "").said for mark in ("run", 'run "x"', "not run: it needs root")] == [True, True, True]
    assert [Block(mark, "sh", "").said for mark in ("", "not run:", "not run", "runs", "skip")] == [False] * 5


@pytest.mark.parametrize("page", [page for page in PAGES if settings(page.read_text())], ids=lambda page: page.stem)
def test_the_settings_of_a_page_are_settings(page: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(settings(page.read_text()))
    found = load({"SECONDUNIT_CONFIG": str(file), "GEMINI_API_KEY": "of nobody"})  # BadConfig names what is wrong
    assert str(file) in found.origins.values()
