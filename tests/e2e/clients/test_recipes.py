"""Every recipe of docs/clients.md, run against a daemon as it stands there."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from secondunit.client.sync import Client
from tests.e2e.clients.conftest import KEY
from tests.e2e.conftest import CHECKOUT, Daemon

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.media]
PAGE = (CHECKOUT / "docs" / "clients.md").read_text()
PACKAGES = (CHECKOUT / "clients/node/README.md").read_text()
RECIPE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPES = [*RECIPE.findall(PAGE), *RECIPE.findall(PACKAGES)]


@pytest.fixture
def media(daemon: Daemon) -> Path:
    """The daemon's media, with what the recipes read."""
    folder = daemon.data / "media"
    for name in ("still.jpg", "clip.mp4"):
        shutil.copyfile(CHECKOUT / "examples" / "media" / name, folder / name)
    return folder


def done(argv: Sequence[str], daemon: Daemon, folder: Path) -> str:
    """What a recipe prints."""
    environ = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "API_KEY": KEY,
        "PYTHONPATH": str(CHECKOUT),
    }
    ran = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def recipes(language: str, daemon: Daemon, media: Path) -> Sequence[str]:
    """Those of one language, with this daemon's address and this folder."""

    def own(text: str) -> str:
        return text.replace("127.0.0.1:8000", f"127.0.0.1:{daemon.port}").replace("/srv/media", str(media))

    return [own(text) for name, text in RECIPES if name == language]


def test_every_recipe_of_the_page_is_in_a_language_that_is_run_here() -> None:
    assert {language for language, _ in RECIPES} == {"sh", "js", "python"} and (PAGE + PACKAGES).count(
        "```"
    ) == 2 * len(RECIPES)


def test_the_recipes_with_curl_do_what_they_say(daemon: Daemon, media: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("THE RECIPES WITH CURL ARE NOT RUN: no curl on PATH")
    script = "\n".join(["set -euo pipefail", *recipes("sh", daemon, media)])
    told = done(["bash", "-c", script], daemon, tmp_path)
    assert '"status":"completed"' in told and '"status":"cancelled"' in told and '"reason":"ended"' in told
    assert (media / "still.webp").is_file()
    client = Client(f"http://127.0.0.1:{daemon.port}", KEY)
    last = client.list(type="webp", limit=3)["jobs"]
    assert [client.wait(job["jobId"], timeout=60)["status"] for job in last] == ["completed"] * 3
    assert (media / "small.webp").is_file() and (media / "later.webp").is_file()


def test_the_recipes_for_node_do_what_they_say(daemon: Daemon, media: Path, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("THE RECIPES FOR NODE ARE NOT RUN: no node on PATH; `make tests` has one")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "secondunit-client").symlink_to(CHECKOUT / "clients" / "node")
    told = ""
    for number, text in enumerate(recipes("js", daemon, media)):
        (tmp_path / f"{number}.mjs").write_text(text)
        told += done(["node", f"{number}.mjs"], daemon, tmp_path)
    assert "job:completed completed 100" in told and "payload.width: " in told and "100 %" in told
    assert (media / "node.webp").is_file() and (media / "a.webp").is_file()


def test_the_recipes_for_python_do_what_they_say(daemon: Daemon, media: Path, tmp_path: Path) -> None:
    told = "".join(done([sys.executable, "-c", text], daemon, tmp_path) for text in recipes("python", daemon, media))
    assert "payload.width" in told and "100 %" in told and "['completed', 'completed']" in told
    assert (media / "python.webp").is_file() and (media / "w160.webp").is_file()
