"""Output destination: an open folder beneath a root and a name in it; what may be replaced there. Blocking."""

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.storage.roots import STAGING, RootedPath
from secondunit.handlers.tools.storage.safe_open import DENIED, ESCAPES, Opener
from secondunit.queue.outcome import Deterministic, Transient

FOLDER = os.O_RDONLY | os.O_DIRECTORY
OWN_FOLDER = FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC
PUBLIC_FOLDER = 0o755
MANIFEST, MADE_BY, US = "manifest.json", "madeBy", "secondunit"
LARGEST_MANIFEST = 16 * 1024 * 1024


class Destination:
    """A name in a folder, which is made (0755, whatever the umask) if it is not there; open until `held` is closed."""

    def __init__(self, held: ExitStack, opener: Opener, root: int, place: RootedPath) -> None:
        self.path = place.path
        self.names = place.names
        self.name = place.names[-1]
        self.folder = open_folder(opener, root, place.names[:-1], PUBLIC_FOLDER)
        held.callback(os.close, self.folder)

    def refuse_folder(self) -> None:
        """Raise when no file can be put here because a folder stands here."""
        if self._kind() == stat.S_IFDIR:
            raise Deterministic(f"{self.path} is a folder; name a file", type="output_is_a_folder")

    def refuse_foreign(self) -> None:
        """Raise when no folder can be put here because something that we did not make stands here."""
        kind = self._kind()
        if kind is None or (kind == stat.S_IFDIR and (self._is_empty() or self.manifest() is not None)):
            return
        raise Deterministic(
            f"{self.path} holds something that Second Unit did not make; name a new or an empty folder",
            type="output_not_ours",
        )

    def refuse_other_file_system(self, folder: int) -> None:
        """Raise when nothing can be renamed from `folder` to here."""
        if os.fstat(folder).st_dev != os.fstat(self.folder).st_dev:
            raise self.other_file_system()

    def other_file_system(self) -> Deterministic:
        """The error for a mount between the root and here."""
        return Deterministic(
            f"{self.path} lies on another file system than its root; add the mount point to MEDIA_ROOTS",
            type="other_file_system",
        )

    def manifest(self) -> Mapping[str, Any] | None:
        """The manifest of the folder that stands here, if we made it."""
        if self._kind() != stat.S_IFDIR:
            return None
        with ExitStack() as held:
            folder = os.open(self.name, OWN_FOLDER, dir_fd=self.folder)
            held.callback(os.close, folder)
            return read_manifest(folder)

    def _kind(self) -> int | None:
        """The type bits of what stands here, a link not followed."""
        try:
            return stat.S_IFMT(os.stat(self.name, dir_fd=self.folder, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return None

    def _is_empty(self) -> bool:
        with ExitStack() as held:
            folder = os.open(self.name, OWN_FOLDER, dir_fd=self.folder)
            held.callback(os.close, folder)
            with os.scandir(folder) as entries:
                return next(entries, None) is None


def open_folder(opener: Opener, root: int, names: Sequence[str], mode: int) -> int:
    """Open a folder beneath `root`, through no link; make what is missing of it, with this mode."""
    here = opener.open(root, ["."], FOLDER, links=False)
    try:
        for name in names:
            following = _enter(opener, here, name, mode)
            os.close(here)
            here = following
    except BaseException:
        os.close(here)
        raise
    return here


def _enter(opener: Opener, folder: int, name: str, mode: int) -> int:
    try:
        return opener.open(folder, [name], FOLDER, links=False)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=folder)
            os.fsync(folder)
            made = opener.open(folder, [name], FOLDER, links=False)
            os.fchmod(made, mode)
            return made
        return opener.open(folder, [name], FOLDER, links=False)


def write_manifest(folder: int, manifest: Mapping[str, object]) -> None:
    """Mark a folder as made by us, with a handler's own facts about it."""
    fd = os.open(MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump({MADE_BY: US, **manifest}, file, indent=1)


def read_manifest(folder: int) -> Mapping[str, Any] | None:
    """The manifest in an open folder, if it is one of ours."""
    try:
        fd = os.open(MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        raise
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        raw = file.read(LARGEST_MANIFEST)
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get(MADE_BY) == US else None


@contextmanager
def output_errors(path: str, root: Path) -> Iterator[None]:
    """What the system says of an output at `path` beneath `root`, as the error that it means for the job."""
    try:
        yield
    except OSError as error:
        raise _explained(error, path, root) from error


def _explained(error: OSError, path: str, root: Path) -> Exception:
    folder = Path(path).parent
    if error.errno in ESCAPES:
        return Deterministic(
            f"a symbolic link lies on the way to {path}; name outputs without links", type="outside_roots"
        )
    if error.errno == errno.ENOTDIR:
        return Deterministic(f"part of the way to {path} is a file, not a folder", type="not_a_folder")
    if error.errno in DENIED:
        said = f"no permission to write in {folder}, or in {root / STAGING}; give it to the daemon's user"
        return Deterministic(said, type="permission_denied")
    if error.errno == errno.EROFS:  # often by itself, after trouble, and mended by an operator
        return Transient(
            f"{folder} lies on a file system that can only be read; mount {root} for writing", type="read_only"
        )
    if error.errno in (errno.ENOENT, errno.ESTALE):  # what is missing is made; so the root itself went, a mount perhaps
        return Transient(f"{root} is gone, and {folder} with it; bring it back (is it mounted?)", type="folder_missing")
    return error
