"""Output destination: an open folder beneath a root and a name in it; what may be replaced there. Blocking."""

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from secondunit.handlers.tools.storage.ownership import OWN_FOLDER, Standing, look
from secondunit.handlers.tools.storage.roots import STAGING, RootedPath
from secondunit.handlers.tools.storage.safe_open import DENIED, ESCAPES, Opener
from secondunit.queue.outcome import Deterministic, Transient

FOLDER = os.O_RDONLY | os.O_DIRECTORY
PUBLIC_FOLDER = 0o755
PROBE = ".secondunit-probe"


class Destination:
    """A name in a folder, which is made (0755, whatever the umask) if it is not there; open until `held` is closed."""

    def __init__(self, held: ExitStack, opener: Opener, root: int, place: RootedPath) -> None:
        self.path = place.path
        self.key = place.key
        self.name = place.names[-1]
        self._opener = opener
        self.folder = open_folder(opener, root, place.names[:-1], PUBLIC_FOLDER)
        held.callback(os.close, self.folder)

    def refuse_folder(self) -> None:
        """Raise when no file can be put here because a folder stands here."""
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(self.name, dir_fd=self.folder, follow_symlinks=False).st_mode):
                raise Deterministic(f"{self.path} is a folder; name a file", type="output_is_a_folder")

    def look(self) -> Standing:
        """What stands here."""
        return look(self.name, self.folder)

    def holds(self, files: Mapping[str, object]) -> bool:
        """Whether files of these relative names and sizes stand in the folder here."""
        try:
            with ExitStack() as held:
                folder = os.open(self.name, OWN_FOLDER, dir_fd=self.folder)
                held.callback(os.close, folder)
                return all(self._size(folder, name) == size for name, size in files.items())
        except OSError:
            return False

    def _size(self, folder: int, name: str) -> int:
        file = self._opener.open(folder, name.split("/"), os.O_PATH, links=False)
        try:
            return os.fstat(file).st_size
        finally:
            os.close(file)

    def refuse_holding(self, source: int) -> None:
        """Raise when the folder here holds an open input, which would go with it."""
        wanted = os.fstat(source)
        with suppress(FileNotFoundError):
            for _, _, names, here in os.fwalk(self.name, dir_fd=self.folder):
                if any(os.path.samestat(wanted, os.stat(name, dir_fd=here, follow_symlinks=False)) for name in names):
                    raise Deterministic(f"{self.path} contains the input; name another folder", type="output_is_input")

    def foreign(self) -> Deterministic:
        """The error for what no folder can replace, because we have no record of having made it."""
        return Deterministic(
            f"{self.path} holds something that Second Unit did not make, or has no record of; name a new or an empty "
            "folder, or move away what is there",
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
            if is_fresh(made):  # else it was exchanged for another, whose mode is not ours to set
                os.fchmod(made, mode)
            return made
        return opener.open(folder, [name], FOLDER, links=False)


def is_fresh(folder: int) -> bool:
    """Whether an open folder is empty and belongs to us."""
    with os.scandir(folder) as entries:
        return next(entries, None) is None and belongs_to_us(folder)


def belongs_to_us(folder: int) -> bool:
    """Whether we own an open folder: as ourselves, or as whom its file system takes us for (NFS, exFAT)."""
    owner = os.fstat(folder).st_uid
    if owner == os.geteuid():
        return True
    try:
        probe = os.open(PROBE, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    except OSError:
        return False
    try:
        return os.fstat(probe).st_uid == owner
    finally:
        os.close(probe)
        with suppress(FileNotFoundError):
            os.unlink(PROBE, dir_fd=folder)


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
