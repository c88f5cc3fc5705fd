"""The commands that the documentation marks with `<!-- run "what it shows" -->` are run as they stand, page by page."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT, free_port

pytestmark = pytest.mark.e2e

DOCS = CHECKOUT / "docs"
MARKED = re.compile(r'^<!-- run(?: "(?P<shows>[^"]*)")? -->\n```sh\n(?P<commands>.*?)^```$', re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```(?:sh|python|toml|json|ini)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(page for page in DOCS.rglob("*.md") if "zh-TW" not in page.parts and MARKED.search(page.read_text()))
START = """\
.venv/bin/secondunit run 2>>log.txt &
curl -s --retry 30 --retry-all-errors --retry-delay 1 127.0.0.1:8000/health >/dev/null
"""
WITHIN = 90.0


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    blocks = [(match["commands"], match["shows"] or "") for match in MARKED.finditer(page.read_text())]
    own = any("secondunit run" in commands for commands, _ in blocks)
    parts = ["" if own else START, *(f"{{\n{commands}}} >shown-{n} 2>&1\n" for n, (commands, _) in enumerate(blocks))]
    (tmp_path / ".venv").symlink_to(CHECKOUT / ".venv")
    shutil.copytree(CHECKOUT / "examples", tmp_path / "examples")
    (tmp_path / "data" / "media").mkdir(parents=True)
    port = free_port()
    script = "\n".join(["set -euo pipefail", *parts]).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORT": str(port), "SECONDUNIT_CONFIG": os.devnull}
    with (tmp_path / "errors").open("wb") as errors:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, stderr=errors,
            stdout=errors, start_new_session=True,
        )  # fmt: skip
        try:
            code = shell.wait(WITHIN)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    told = [(tmp_path / f"shown-{n}").read_text() for n in range(len(blocks)) if (tmp_path / f"shown-{n}").exists()]
    assert code == 0, [(tmp_path / "errors").read_text(), *told[-1:]]
    assert [shows for (_, shows), text in zip(blocks, told, strict=True) if shows not in text] == [], told


@pytest.mark.parametrize("page", sorted((DOCS / "zh-TW").glob("*.md")), ids=lambda page: page.stem)
def test_a_translation_has_the_commands_of_its_original(page: Path) -> None:
    (original,) = [one for folder in ("tutorial", "how-to") for one in (DOCS / folder).glob(page.name)]
    assert FENCED.findall(page.read_text()) == FENCED.findall(original.read_text())
