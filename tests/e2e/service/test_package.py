"""Debian's package, built on a bare Debian and judged by lintian; the runbooks, as written, on booted boxes with it."""

import os
import shutil
import subprocess
import tomllib
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


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A Debian 13, and the package that `make deb` with every extra writes on it."""
    bare = bare_debian(DEBIAN.with_name(f"{DEBIAN.name}-13"), "trixie")
    checkout = copied(tmp_path_factory.mktemp("newer") / "secondunit")
    extras = " ".join(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    binds = [f"--bind={checkout}:/opt/secondunit"]
    run_in(bare, binds, "make", "-C", "/opt/secondunit", "deb", "DEB_LEVEL=0", f"EXTRAS={extras}")
    [package] = (checkout / "dist").glob("secondunit_*.deb")
    return furnished_debian(FURNISHED.with_name(f"{FURNISHED.name}-13"), bare), package


def test_a_package_for_debian_13_with_every_extra_is_installed_there(newer: tuple[Path, Path], tmp_path: Path) -> None:
    root, package = newer
    assert "python3 (>= 3.13), python3 (<< 3.14)" in said_of(package) and "in it: browser, otel" in said_of(package)
    shared = shared_with(tmp_path / "shared", "newer")
    with disk_over(root, tmp_path / "newer") as disk:
        shutil.copy(package, disk / "root")
        booted = boot(disk, [], shared, keeps=True)
    assert booted.exit == 0, f"{booted.log[-20_000:]}\n{booted.console[-3000:]}"


def said_of(package: Path) -> str:
    """The fields of a package."""
    return subprocess.run(["dpkg-deb", "-f", str(package)], capture_output=True, text=True, check=True).stdout


def shared_with(shared: Path, box: str) -> Path:
    """What the script inside a box needs: itself, the runbooks, a picture, and which box it is."""
    for part in ("service", "docs"):
        (shared / "tests/e2e" / part).mkdir(parents=True)
    here = Path(__file__).parent
    shutil.copy(here / "inside_boxes.py", shared / "inside.py")
    shutil.copy(here / "shell.py", shared / "tests/e2e/service")
    shutil.copy(ROOT / "examples/media/still.jpg", shared)
    shutil.copy(ROOT / "tests/e2e/docs/pages.py", shared / "tests/e2e/docs")
    shutil.copytree(ROOT / "docs/runbooks", shared / "docs/runbooks")
    (shared / "box").write_text(box)
    return shared


def test_lintian_finds_nothing(packages: Mapping[str, Path], tmp_path: Path) -> None:
    root = furnished_debian(FURNISHED, bare_debian(DEBIAN))
    package = packages["0.1.0"]
    judged = f"lintian --no-cfg --color never --tag-display-limit 0 /dist/{package.name} > /out/judged 2>&1"
    run_in(root, [f"--bind-ro={package.parent}:/dist", f"--bind={tmp_path}:/out"], "sh", "-c", judged)
    told = (tmp_path / "judged").read_text().splitlines()
    assert [line for line in told if line.startswith(("E:", "W:"))] == []


def test_the_package_depends_on_the_python_it_was_built_with(packages: Mapping[str, Path]) -> None:
    told = said_of(packages["0.1.0"])
    assert "python3 (>= 3.11), python3 (<< 3.12)" in told and "Extras in it: otel, postgres, sentry." in told
    content = subprocess.run(["dpkg-deb", "-c", str(packages["0.1.0"])], capture_output=True, text=True, check=True)
    assert "__pycache__" not in content.stdout and "direct_url.json" not in content.stdout


def test_the_runbooks_do_what_they_say(packages: Mapping[str, Path], tmp_path: Path) -> None:
    shared, elsewhere = shared_with(tmp_path / "shared", "old"), tmp_path / "elsewhere"
    elsewhere.mkdir()
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
