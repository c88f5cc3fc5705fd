"""Debian's package, built on a bare Debian and judged by lintian; the runbooks, as written, on booted boxes with it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.service.booting import bare_debian, boot, disk_over, furnished_debian, lacking, run_in
from tests.e2e.service.checkout import DEBIAN, ROOT, copied

REASON = lacking()
FURNISHED = Path(os.environ.get("FURNISHED_DEBIAN", ROOT / ".cache" / "furnished-debian"))
NEXT = "create table next_version (word text not null) strict;\n"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(REASON is not None, reason=f"NOTHING WAS BOOTED, THE PACKAGE IS NOT TESTED: {REASON}"),
]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The package of this checkout, by `make deb` on a bare Debian, and that of a next version with another schema."""
    folder = tmp_path_factory.mktemp("packages")
    if kept := os.environ.get("PACKAGES"):
        return {path.name.split("_")[1]: path for path in Path(kept).glob("*.deb")}
    checkout = copied(folder / "secondunit")
    root, binds = bare_debian(DEBIAN), [f"--bind={checkout}:/opt/secondunit"]
    found = {}
    for version in ("0.1.0", "0.2.0"):
        if version == "0.2.0":
            project = checkout / "pyproject.toml"
            project.write_text(project.read_text().replace('version = "0.1.0"', f'version = "{version}"'))
            (checkout / "secondunit/queue/stores/sqlite/migrations/9000_next.sql").write_text(NEXT)
        run_in(root, binds, "make", "-C", "/opt/secondunit", "deb", "DEB_LEVEL=0")
        [found[version]] = (checkout / "dist").glob(f"secondunit_{version}_*.deb")
    return found


def test_lintian_finds_nothing(packages: Mapping[str, Path], tmp_path: Path) -> None:
    root = furnished_debian(FURNISHED, bare_debian(DEBIAN))
    package = packages["0.1.0"]
    judged = f"lintian --no-cfg --color never --tag-display-limit 0 /dist/{package.name} > /out/judged 2>&1"
    run_in(root, [f"--bind-ro={package.parent}:/dist", f"--bind={tmp_path}:/out"], "sh", "-c", judged)
    told = (tmp_path / "judged").read_text().splitlines()
    assert [line for line in told if line.startswith(("E:", "W:"))] == []


def test_the_package_depends_on_the_python_it_was_built_with(packages: Mapping[str, Path]) -> None:
    told = subprocess.run(["dpkg-deb", "-f", str(packages["0.1.0"])], capture_output=True, text=True, check=True).stdout
    assert "python3 (>= 3.11), python3 (<< 3.12)" in told
    content = subprocess.run(["dpkg-deb", "-c", str(packages["0.1.0"])], capture_output=True, text=True, check=True)
    assert "__pycache__" not in content.stdout and "direct_url.json" not in content.stdout


def test_the_runbooks_do_what_they_say(packages: Mapping[str, Path], tmp_path: Path) -> None:
    shared, elsewhere = tmp_path / "shared", tmp_path / "elsewhere"
    for part in ("service", "docs"):
        (shared / "tests/e2e" / part).mkdir(parents=True)
    elsewhere.mkdir()
    here = Path(__file__).parent
    shutil.copy(here / "inside_boxes.py", shared / "inside.py")
    shutil.copy(here / "inside.py", shared / "tests/e2e/service")
    shutil.copy(ROOT / "examples/media/still.jpg", shared)
    shutil.copy(ROOT / "tests/e2e/docs/pages.py", shared / "tests/e2e/docs")
    shutil.copytree(ROOT / "docs/runbooks", shared / "docs/runbooks")
    root = furnished_debian(FURNISHED, bare_debian(DEBIAN))
    password = ""
    with ExitStack() as stack:
        first = stack.enter_context(disk_over(root, tmp_path / "first"))
        for box in ("old", "standby", "again", "mirror", "new"):
            own = box in ("standby", "mirror", "new")
            disk = stack.enter_context(disk_over(root, tmp_path / box)) if own else first
            home = disk / "root"
            (home / "new").mkdir(exist_ok=True)
            for version, folder in (("0.1.0", home), ("0.2.0", home / "new")):
                shutil.copy(packages[version], folder)
            if password:
                (disk / "etc/restic-password").write_text(password)
            (disk / "mnt/elsewhere").mkdir(exist_ok=True)
            (shared / "box").write_text(box)
            booted = boot(disk, [f"--bind={elsewhere}:/mnt/elsewhere"], shared, keeps=True)
            if kept := os.environ.get("BOOTED_LOG"):
                Path(f"{kept}.{box}").write_text(booted.log)
            assert booted.exit == 0, f"{box}:\n{booted.log[-20_000:]}\n{booted.console[-3000:]}"
            password = (first / "etc/restic-password").read_text()
