"""Debian package builder: a staged tree of this checkout with its locked dependencies, packed by dpkg-deb."""

import argparse
import gzip
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from secondunit.cli.host.units import PACKAGE, UNITS, Layout, ours, shipped  # noqa: E402

HERE = Path(__file__).parent
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
MAINTAINER = "Second Unit contributors <secondunit@packages.invalid>"
# What a shell completes, by where Debian looks for it.
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/secondunit",
    "zsh": "usr/share/zsh/vendor-completions/_secondunit",
    "fish": "usr/share/fish/vendor_completions.d/secondunit.fish",
}
# They name folders of the machine that built it.
TRACES = ("direct_url.json", "uv_cache.json", "uv_build.json", "RECORD", "REQUESTED")


def main() -> None:
    """Build `dist/secondunit_VERSION_ARCHITECTURE.deb` and print its path."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--uv", type=Path, required=True)
    asked.add_argument("--python", type=Path, default=Path("/usr/bin/python3"), help="Debian's own: it is what runs it")
    asked.add_argument("--out", type=Path, default=ROOT / "dist")
    asked.add_argument("--level", type=int, default=6, help="xz's, 0 to 9")
    asked.add_argument("--extras", default="", help=f"what else is in it, of {', '.join(optional())}")
    at = asked.parse_args()
    extras = sorted(set(at.extras.split()))
    if unknown := [extra for extra in extras if extra not in optional()]:
        asked.error(f"there is no extra {', '.join(unknown)}; there are {', '.join(optional())}")
    made = changed_at()
    with tempfile.TemporaryDirectory(prefix="secondunit-deb-") as folder:
        tree = Path(folder, "tree")
        tree.mkdir()
        libraries(tree, at.uv, at.python, extras)
        documents(tree, made)
        units(tree)
        control(tree, at.python, extras)
        settled(tree)
        at.out.mkdir(parents=True, exist_ok=True)
        fields = control_fields(at.python, extras)
        package = at.out / f"secondunit_{fields['version']}_{fields['architecture']}.deb"
        environ = {**os.environ, "SOURCE_DATE_EPOCH": str(int(made.timestamp()))}
        run(
            "dpkg-deb",
            "--root-owner-group",
            "-Zxz",
            f"-z{at.level}",
            "--build",
            str(tree),
            str(package),
            environ=environ,
        )
    print(package)


def libraries(tree: Path, uv: Path, python: Path, extras: Sequence[str]) -> None:
    """A venv of Debian's interpreter at its place in the package, and the command that people start."""
    venv = tree / PACKAGE.relative_to("/")
    run(str(uv), "venv", "--quiet", "--no-project", "--python", str(python), str(venv))
    into = [str(uv), "pip", "install", "--quiet", "--link-mode", "copy", "--python", str(venv / "bin/python")]
    run(*into, "--require-hashes", "--requirements", str(ROOT / "requirements.lock"))
    if wanted := [library for extra in extras for library in optional()[extra]]:
        run(*into, "--constraints", str(ROOT / "requirements-dev.lock"), *wanted)  # it holds them to its hashes
    constraints = ["--build-constraints", str(ROOT / "requirements-setup.lock")]
    run(*into, "--no-deps", "--reinstall-package", "secondunit", *constraints, str(ROOT))
    programs = venv / "bin"
    for program in programs.iterdir():
        program.unlink()
    version = minor(python)
    for name in ("python", "python3"):
        (programs / name).symlink_to(f"../../../bin/python{version}")
    command = programs / "secondunit"
    command.write_text(
        f"#!{PACKAGE}/bin/python\nimport sys\n\nfrom secondunit.__main__ import main\n\nsys.exit(main())\n"
    )
    command.chmod(0o755)
    (venv / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n")
    for trace in TRACES:
        for file in venv.rglob(f"*.dist-info/{trace}"):
            file.unlink()
    for leftover in (".lock", ".gitignore", "CACHEDIR.TAG"):
        (venv / leftover).unlink(missing_ok=True)
    for folder in [*venv.rglob("__pycache__"), venv / "share"]:
        shutil.rmtree(folder)
    link = tree / "usr/bin/secondunit"
    link.parent.mkdir(parents=True)
    link.symlink_to("../lib/secondunit/bin/secondunit")


def documents(tree: Path, made: datetime) -> None:
    """The manual page, what shells complete, copyright and changelog, where Debian's policy wants them."""
    packed(tree / "usr/share/man/man1/secondunit.1.gz", said("manual"))
    for shell, place in COMPLETIONS.items():
        written(tree / place, said("completion", shell))
    documents = tree / "usr/share/doc/secondunit"
    _, _, terms = (ROOT / "LICENSE").read_text().partition("\n\n")
    holder, _, terms = terms.partition("\n\n")
    indented = "".join(f" {line}\n" if line else " .\n" for line in terms.rstrip().splitlines())
    text = filled("copyright", {"holder": holder.replace("Copyright (c)", "Copyright:"), "license": indented.rstrip()})
    written(documents / "copyright", text)
    version = project()["version"]
    packed(
        documents / "changelog.gz",
        f"secondunit ({version}) unstable; urgency=medium\n\n  * What changed: CHANGELOG.md.gz beside this file.\n\n"
        f" -- {maintainer()}  {format_datetime(made)}\n",
    )
    packed(documents / "CHANGELOG.md.gz", (ROOT / "CHANGELOG.md").read_text())
    written(documents / "README.md", (ROOT / "systemd/README.md").read_text())
    written(tree / "usr/share/lintian/overrides/secondunit", (HERE / "lintian-overrides").read_text())


def units(tree: Path) -> None:
    """What systemd reads, with the program of the package in it, and the settings that are the operator's."""
    layout = Layout(packaged=True)
    for path, text in ours(layout, PACKAGE / "bin/secondunit", []).items():
        written(tree / path.relative_to("/"), text)
    written(tree / layout.config.relative_to("/"), shipped("config.toml"), 0o640)
    assert {path.name for path in (tree / "usr/lib/systemd/system").iterdir()} == set(UNITS)


def control(tree: Path, python: Path, extras: Sequence[str]) -> None:
    """What dpkg reads."""
    for script in SCRIPTS:
        written(tree / "DEBIAN" / script, (HERE / script).read_text(), 0o755)
    written(tree / "DEBIAN/conffiles", "/etc/secondunit/config.toml\n")
    size = sum(file.lstat().st_size for file in tree.rglob("*") if file.is_file() and not file.is_symlink()) // 1024
    written(tree / "DEBIAN/control", filled("control", {**control_fields(python, extras), "size": str(size)}))


def control_fields(python: Path, extras: Sequence[str]) -> Mapping[str, str]:
    """What the package says of itself: its libraries are compiled for this Python, this processor, this libc."""
    major, _, low = minor(python).partition(".")
    return {
        "version": project()["version"],
        "architecture": said_by("dpkg", "--print-architecture"),
        "maintainer": maintainer(),
        "python": f"{major}.{low}",
        "next_python": f"{major}.{int(low) + 1}",
        "libc": platform.libc_ver(str(python.resolve()))[1] or "2.36",
        "extras": ", ".join(extras) or "none",
    }


def settled(tree: Path) -> None:
    """Modes that depend on nobody's umask."""
    for path in tree.rglob("*"):
        if path.is_symlink() or path.name == "config.toml":
            continue
        runs = path.is_dir() or (path.stat().st_mode & 0o100 and is_program(path))
        path.chmod(0o755 if runs else 0o644)
    tree.chmod(0o755)


def is_program(path: Path) -> bool:
    """Whether the kernel could start it."""
    with path.open("rb") as file:
        head = file.read(4)
    return head.startswith(b"#!") or (head == b"\x7fELF" and ".so" not in path.name)


def project() -> Mapping[str, Any]:
    """What pyproject.toml says of the project."""
    found: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def optional() -> Mapping[str, Sequence[str]]:
    """The extras, each with what it takes."""
    found: Mapping[str, Sequence[str]] = project()["optional-dependencies"]
    return found


def maintainer() -> str:
    """Who answers for this build, by the variables that Debian's tools read."""
    name, address = os.environ.get("DEBFULLNAME"), os.environ.get("DEBEMAIL")
    return f"{name} <{address}>" if name and address else MAINTAINER


def changed_at() -> datetime:
    """The time of the commit; of the changelog where there is no repository: the same sources give the same package."""
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return datetime.fromtimestamp(int(told), UTC)
    argv = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    seconds = done.stdout.strip() or (ROOT / "CHANGELOG.md").stat().st_mtime
    return datetime.fromtimestamp(int(seconds), UTC)


def minor(python: Path) -> str:
    """The version of an interpreter, as its program is named."""
    return said_by(str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


def said(*command: str) -> str:
    """What our own command prints."""
    return said_by(sys.executable, "-P", "-m", "secondunit", *command) + "\n"


def said_by(*argv: str) -> str:
    """What a program prints."""
    return subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def run(*argv: str, environ: Mapping[str, str] | None = None) -> None:
    """A program that must succeed; what it says goes to standard error."""
    subprocess.run(argv, cwd=ROOT, check=True, env=environ, stdout=sys.stderr)


def filled(name: str, values: Mapping[str, str]) -> str:
    """A file beside this one, with its `@names@` replaced."""
    return re.sub(r"@(\w+)@", lambda match: values[match[1]], (HERE / name).read_text())


def written(path: Path, text: str, mode: int = 0o644) -> None:
    """A file of the package."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def packed(path: Path, text: str) -> None:
    """The same, compressed as policy wants: without a name and a time in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
