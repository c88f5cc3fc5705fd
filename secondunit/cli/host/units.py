"""systemd unit files as this installation has them: which there are, where they belong, and the paths filled in."""

import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

PROGRAM = "/opt/secondunit/.venv/bin/secondunit"  # what the files name, so that they are units as they stand
PACKAGE = Path("/usr/lib/secondunit")  # where Debian's package has the program and its libraries
OPENED = "# For media_roots and [deploy.ID], with the unit of the package: `secondunit service install` writes it anew."
WRITABLE = "\nReadWritePaths=\n"
SERVICE, BACKUP, TIMER = "secondunit.service", "secondunit-backup.service", "secondunit-backup.timer"
UNITS = (SERVICE, BACKUP, TIMER)
HIDDEN = {"ProtectHome": ("/home", "/root", "/run/user"), "PrivateTmp": ("/tmp", "/var/tmp")}  # noqa: S108  not used


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything belongs, below a root; `/` but in tests. Of a package the units are dpkg's."""

    root: Path = Path("/")
    packaged: bool = False

    @property
    def sysusers(self) -> Path:
        """Declares the account."""
        return self._system / "sysusers.d/secondunit.conf"

    @property
    def tmpfiles(self) -> Path:
        """Declares the folders of the settings."""
        return self._system / "tmpfiles.d/secondunit.conf"

    @property
    def settings(self) -> Path:
        """The operator's folder."""
        return self.root / "etc/secondunit"

    @property
    def config(self) -> Path:
        """The operator's settings."""
        return self.settings / "config.toml"

    @property
    def state(self) -> Path:
        """The daemon's folder."""
        return self.root / "var/lib/secondunit"

    @property
    def manual(self) -> Path:
        """The manual page."""
        return self.root / "usr/local/share/man/man1/secondunit.1"

    def unit(self, name: str) -> Path:
        """A unit of ours."""
        return self._system / "systemd/system" / name

    @property
    def opened(self) -> Path:
        """Opens folders to jobs beside the unit of a package."""
        return self.root / "etc/systemd/system" / f"{SERVICE}.d" / "50-folders.conf"

    @property
    def _system(self) -> Path:
        return self.root / ("usr/lib" if self.packaged else "etc")

    def drop_ins(self) -> Sequence[Path]:
        """The operator's changes of our units, those that there are."""
        folders = [self.root / "etc/systemd/system" / f"{name}.d" for name in UNITS]
        return [folder for folder in folders if folder.is_dir()]


def this_layout() -> Layout:
    """The layout of the program that runs."""
    return Layout(packaged=Path(sys.prefix) == PACKAGE)


def ours(layout: Layout, program: Path, writable: Sequence[Path]) -> Mapping[Path, str]:
    """The files that are written anew by each version, with `program` in them and these folders open to jobs."""
    found = {layout.sysusers: shipped("sysusers.conf"), layout.tmpfiles: shipped("tmpfiles.conf")}
    for name in UNITS:
        found[layout.unit(name)] = filled(shipped(name), program, writable)
    return found


def opening(layout: Layout, writable: Sequence[Path]) -> Mapping[Path, str]:
    """The drop-in that opens these folders to the unit of a package; none where none was opened yet."""
    if not writable and not layout.opened.exists():
        return {}
    lines = [OPENED, "[Service]", "ReadWritePaths=", f"ReadWritePaths={listed(writable)}" if writable else ""]
    return {layout.opened: "\n".join(filter(None, lines)) + "\n"}


def filled(unit: str, program: Path, writable: Sequence[Path]) -> str:
    """A unit with the paths of this installation."""
    text = unit.replace(f"ExecStart={PROGRAM}", f"ExecStart={quoted(str(program)).replace('$', '$$')}")
    return text.replace(WRITABLE, f"{WRITABLE.rstrip()}{listed(writable)}\n")


def listed(folders: Sequence[Path]) -> str:
    """Folders as a unit's value. With a dash: one that is not there yet keeps the daemon from nothing but itself."""
    return " ".join(quoted(f"-{folder}") for folder in folders)


def quoted(word: str) -> str:
    """A word as systemd reads it (systemd.syntax(7))."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    escaped = "".join(one if one.isprintable() else "".join(f"\\x{b:02x}" for b in one.encode()) for one in escaped)
    return f'"{escaped}"' if any(one.isspace() or one in "\"'\\" or not one.isprintable() for one in word) else escaped


def shipped(name: str) -> str:
    """A file of `systemd/`, from the checkout or from the wheel."""
    package = files("secondunit")
    for folder in (package / "systemd", package / ".." / "systemd"):
        if (file := folder / name).is_file():
            return file.read_text("utf-8")
    raise FileNotFoundError(f"systemd/{name} is not part of this installation")


def unreachable(paths: Sequence[Path]) -> Iterator[str]:
    """Why the service's user could not start the program that lies at these paths."""
    for path in paths:
        for setting, hidden in HIDDEN.items():
            if any(path.is_relative_to(folder) for folder in hidden):
                yield f"{path} is hidden from the service (the unit's {setting}=): install into /opt/secondunit"
                break
        else:
            closed = [part for part in (path, *path.parents) if part.exists() and not _open(part)]
            if closed:
                yield f"{closed[-1]} is closed to the service's user: `chmod o+rx {closed[-1]}`, or install elsewhere"


def _open(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IXOTH if path.is_dir() else stat.S_IROTH))
