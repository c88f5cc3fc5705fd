"""Staged outputs: written on the file system of their root, published by fsync and rename. Blocking.

Each is made in a folder of its own, ROOT/.secondunit/JOB-EPOCH/N, that only we can enter, and that we and the programs
we start reach by its descriptor alone: whoever can write in the root may exchange each folder on the way for another,
and leads nothing astray by it. What is published can be read by everybody (files 0644, folders 0755, whatever the
umask), so that a web server can serve it.
"""

import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from secondunit.handlers.tools.storage.destination import (
    FOLDER,
    PUBLIC_FOLDER,
    Destination,
    belongs_to_us,
    is_fresh,
    open_folder,
)
from secondunit.handlers.tools.storage.ownership import OWN_FOLDER, Made, Standing, look, place_of, write_manifest
from secondunit.handlers.tools.storage.replaced import KEPT, keep_replaced
from secondunit.handlers.tools.storage.roots import STAGING
from secondunit.handlers.tools.storage.safe_open import ESCAPES, Opener
from secondunit.queue.outcome import Deterministic

PUBLIC_FILE, PRIVATE_FOLDER = 0o644, 0o700
NO_FILE = {errno.ELOOP: "a symbolic link", errno.ENXIO: "not a file"}  # what open(2) says of a link, and of a socket
NO_ROOM_FOR_A_FOLDER = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)  # what rename(2) says of what is no empty folder
CANT_EXCHANGE = (errno.EINVAL, errno.ENOSYS)


class StagingFolder:
    """A folder of its own for one output of one lease; closing `held` removes what was not published."""

    def __init__(self, held: ExitStack, opener: Opener, root: int, root_path: Path, lease: str) -> None:
        self.root = root_path
        self._opener = opener
        staging = open_folder(opener, root, [STAGING], PRIVATE_FOLDER)
        held.callback(os.close, staging)
        self._lease = open_folder(opener, staging, [lease], PRIVATE_FOLDER)
        held.callback(_remove_empty, lease, staging)
        held.callback(os.close, self._lease)
        self._name = _numbered(self._lease)
        self._ours: set[tuple[int, int]] = set()
        held.callback(self._discard)
        self.folder = opener.open(self._lease, [self._name], FOLDER, links=False)
        held.callback(os.close, self.folder)
        if not is_fresh(self.folder):
            raise Deterministic(
                f"{root_path / STAGING} is meddled with by somebody else who can write in {root_path}; see who that is",
                type="staging_disturbed",
            )
        os.fchmod(self.folder, PRIVATE_FOLDER)
        self._ours.add(place_of(self.folder))

    @property
    def path(self) -> Path:
        """The folder, wherever it is moved: for this process, and for a program that is given the descriptor."""
        return Path(f"/proc/self/fd/{self.folder}")

    def publish_file(self, name: str, destination: Destination) -> int:
        """Put the file `name` of this stage at its destination, replacing a file there; its size in bytes."""
        size = _finish_file(name, self.folder)
        destination.refuse_folder()
        _rename(name, self.folder, destination)
        os.fsync(destination.folder)
        return size

    def finish_folder(self, manifest: Mapping[str, object], destination: Destination, standing: Standing) -> Made:
        """Make this stage ready to take the place of what stands there."""
        kept = keep_replaced(self._opener, self.folder, manifest, destination, standing)
        written = write_manifest(self.folder, {**manifest, KEPT: kept} if kept else manifest)
        _finish_tree(self.folder)
        return Made(os.fstat(self.folder).st_ino, written, kept)

    def publish_folder(self, destination: Destination, standing: Standing) -> None:
        """Put this stage itself at its destination, in the place of nothing, an empty folder, or of that very one."""
        if standing.kind == "folder":
            self._swap(destination, standing)
        else:
            self._put(destination)
        os.fsync(destination.folder)

    def _put(self, destination: Destination) -> None:
        try:
            _rename(self._name, self._lease, destination)
        except OSError as error:
            if error.errno in NO_ROOM_FOR_A_FOLDER:
                raise destination.foreign() from None
            raise

    def _swap(self, destination: Destination, standing: Standing) -> None:
        """Trade places with the folder we published before, which is then removed with the stage."""
        try:
            self._exchange(destination)
        except FileNotFoundError:
            self._put(destination)
            return
        except OSError as error:
            if error.errno not in CANT_EXCHANGE:
                raise
            self._swap_in_two_steps(destination, standing)
            return
        if look(self._name, self._lease).place != standing.place:  # another came to stand there meanwhile
            self._exchange(destination)
            raise destination.foreign()
        self._ours.add(standing.place)

    def _exchange(self, destination: Destination) -> None:
        self._opener.exchange(self._lease, self._name, destination.folder, destination.name)

    def _swap_in_two_steps(self, destination: Destination, standing: Standing) -> None:
        """For file systems that can't exchange (NFS): for a moment, nothing stands at the destination."""
        aside = f"{self._name}-replaced"
        os.rename(destination.name, aside, src_dir_fd=destination.folder, dst_dir_fd=self._lease)
        try:
            if look(aside, self._lease).place != standing.place:
                raise destination.foreign()
            _rename(self._name, self._lease, destination)
        except (OSError, Deterministic):
            os.rename(aside, destination.name, src_dir_fd=self._lease, dst_dir_fd=destination.folder)
            raise
        self._ours.add(standing.place)

    def _discard(self) -> None:
        """Remove what is left of this stage and of what it replaced, and nothing that was put in their place."""
        for name in (self._name, f"{self._name}-replaced"):
            with suppress(OSError), _open_own(name, self._lease) as folder:
                if place_of(folder) in self._ours:
                    _clear(folder)
                    os.rmdir(name, dir_fd=self._lease)


def staged_leases(roots: Sequence[Path]) -> Collection[str]:
    """The leases, as JOB-EPOCH, that have something staged; a root that is not there has none."""
    found: set[str] = set()
    for root in roots:
        with _staging_of(root) as staging:
            found.update(_names_in(staging) if staging is not None else ())
    return found


def sweep_staging(roots: Sequence[Path], keep: Collection[str] = ()) -> None:
    """Remove what dead leases left in the staging folders; `keep` names those that live, as JOB-EPOCH.

    What is not our own, in a staging folder or in the place of one, is left alone.
    """
    for root in roots:
        with _staging_of(root) as staging:
            for lease in _names_in(staging) if staging is not None else ():
                if staging is not None and lease not in keep:
                    with suppress(OSError), _open_own(lease, staging) as folder:
                        _clear_stages(folder)
                        os.rmdir(lease, dir_fd=staging)


def _clear_stages(lease: int) -> None:
    for name in _names_in(lease):
        with suppress(OSError), _open_own(name, lease) as stage:
            if belongs_to_us(stage):
                _clear(stage)
                os.rmdir(name, dir_fd=lease)


@contextmanager
def _staging_of(root: Path) -> Iterator[int | None]:
    """The staging folder of a root, if there is one and it is one."""
    with ExitStack() as held:
        try:
            top = os.open(root, FOLDER | os.O_CLOEXEC)
            held.callback(os.close, top)
            staging = os.open(STAGING, OWN_FOLDER, dir_fd=top)
            held.callback(os.close, staging)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, *ESCAPES):
                raise
            yield None
        else:
            yield staging


@contextmanager
def _open_own(name: str, folder: int) -> Iterator[int]:
    fd = os.open(name, OWN_FOLDER, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def _names_in(folder: int) -> Sequence[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _clear(folder: int) -> None:
    """Empty an open folder."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if is_folder:
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def _numbered(folder: int) -> str:
    """Make a folder under a number that is free."""
    number = 1
    while True:
        try:
            os.mkdir(str(number), PRIVATE_FOLDER, dir_fd=folder)
            return str(number)
        except FileExistsError:
            number += 1


def _rename(name: str, folder: int, destination: Destination) -> None:
    try:
        os.rename(name, destination.name, src_dir_fd=folder, dst_dir_fd=destination.folder)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise destination.other_file_system() from error
        raise


def _finish_tree(folder: int) -> None:
    """Make everything in a folder public and durable; links and other oddities have no place in it."""
    for _, folders, files, here in os.fwalk(".", topdown=False, dir_fd=folder):
        for name in files:
            _finish_file(name, here)
        for name in folders:
            if not stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                raise Deterministic(f"an output is a symbolic link: {name}", type="not_a_file")
        os.fchmod(here, PUBLIC_FOLDER)
        os.fsync(here)


def _finish_file(name: str, folder: int) -> int:
    """Make one file public and durable; its size in bytes."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        raise Deterministic(f"an output is {NO_FILE[error.errno]}: {name}", type="not_a_file") from None
    try:
        made = os.fstat(fd)
        if not stat.S_ISREG(made.st_mode):
            raise Deterministic(f"an output is not a file: {name}", type="not_a_file")
        os.fchmod(fd, PUBLIC_FILE)
        os.fsync(fd)
        return made.st_size
    finally:
        os.close(fd)


def _remove_empty(name: str, folder: int) -> None:
    with suppress(OSError):
        os.rmdir(name, dir_fd=folder)
