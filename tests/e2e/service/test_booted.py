"""The service on a bare, booted Debian: the documented commands as written, each job type, drain, watchdog, upgrade."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.service.booting import bare_debian, boot, lacking, run_in
from tests.e2e.service.checkout import DEBIAN, ROOT, copied, git

REASON = lacking()

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(REASON is not None, reason=f"NOTHING WAS BOOTED, THE SERVICE IS NOT TESTED: {REASON}"),
]


def documented() -> Iterator[tuple[str, str]]:
    """The commands of each section of the service's README."""
    for section in re.split(r"^## ", (ROOT / "systemd/README.md").read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        commands = [line.strip() for line in text.splitlines() if line.startswith("    ")]
        yield title.lower(), "\n".join(commands)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What the script inside needs: itself, the commands, and a repository of this checkout as it stands."""
    shared = tmp_path / "shared"
    copied(shared / "origin")
    here, tools = Path(__file__).parent, shared / "tests/e2e/service"
    tools.mkdir(parents=True)
    shutil.copy(here / "inside.py", shared)
    shutil.copy(here / "shell.py", tools)
    for title, commands in documented():
        (shared / f"{title}.sh").write_text(f"{commands}\n")
    return shared


def test_the_documented_commands_install_run_drain_upgrade_and_remove_the_service(shared: Path, tmp_path: Path) -> None:
    root = bare_debian(DEBIAN)
    checkout = tmp_path / "secondunit"
    git(tmp_path, "clone", "--quiet", str(shared / "origin"), str(checkout))
    git(checkout, "remote", "set-url", "origin", "/shared/origin")
    binds = [f"--bind={checkout}:/opt/secondunit"]
    run_in(root, binds, "make", "-C", "/opt/secondunit", "setup")  # the only one that needs a network
    booted = boot(root, binds, shared)
    if kept := os.environ.get("BOOTED_LOG"):
        Path(kept).write_text(booted.log)
    assert booted.exit == 0, f"{booted.log[-20_000:]}\n{booted.console[-3000:]}"
