"""Staged outputs: written on the file system of their root, published by fsync and rename. Blocking.

Each is made in a folder of its own, ROOT/.secondunit/JOB-EPOCH/N, that only we can enter. What is published can be read
by everybody (files 0644, folders 0755, whatever the umask), so that a web server can serve it.
"""

import errno
import os
import shutil
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from secondunit.handlers.tools.storage.destination import (
    FOLDER,
    OWN_FOLDER,
    PUBLIC_FOLDER,
    Destination,
    open_folder,
    write_manifest,
)
from secondunit.handlers.tools.storage.replaced import keep_replaced
from secondunit.handlers.tools.storage.roots import STAGING
from secondunit.handlers.tools.storage.safe_open import Opener
from secondunit.queue.outcome import Deterministic

PUBLIC_FILE, PRIVATE_FOLDER = 0o644, 0o700
NO_FILE = {errno.ELOOP: "a symbolic link", errno.ENXIO: "not a file"}  # what open(2) says of a link, and of a socket
NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
CANT_EXCHANGE = (errno.EINVAL, errno.ENOSYS)


class StagingFolder:
    """A folder of its own for one output of one lease; closing `held` removes what was not published."""

    def __init__(self, held: ExitStack, opener: Opener, root: int, root_path: Path, lease: str) -> None:
        self.root = root_path
        self._opener = opener
        self._staging = open_folder(opener, root, [STAGING], PRIVATE_FOLDER)
        held.callback(os.close, self._staging)
        self._lease = open_folder(opener, self._staging, [lease], PRIVATE_FOLDER)
        held.callback(_remove_empty, lease, self._staging)
        held.callback(os.close, self._lease)
        self.name = _numbered(self._lease)
        held.callback(shutil.rmtree, self.name, ignore_errors=True, dir_fd=self._lease)
        self.folder = opener.open(self._lease, [self.name], FOLDER, links=False)
        held.callback(os.close, self.folder)
        self.path = root_path / STAGING / lease / self.name

    def publish_file(self, name: str, destination: Destination) -> int:
        """Put the file `name` of this stage at its destination, replacing a file there; its size in bytes."""
        size = _finish_file(name, self.folder)
        destination.refuse_folder()
        _rename(name, self.folder, destination)
        os.fsync(destination.folder)
        return size

    def publish_folder(self, manifest: Mapping[str, object], destination: Destination) -> None:
        """Put this stage itself at its destination, in the place of nothing, an empty folder, or one that we made."""
        write_manifest(self.folder, manifest)
        keep_replaced(self._opener, self._staging, self.folder, manifest, destination)
        _finish_tree(self.folder)
        destination.refuse_foreign()
        try:
            _rename(self.name, self._lease, destination)
        except OSError as error:
            if error.errno not in NOT_EMPTY:
                raise
            self._swap(destination)
        os.fsync(destination.folder)

    def _swap(self, destination: Destination) -> None:
        """Trade places with the folder we published before, which is then removed with the stage."""
        try:
            self._opener.exchange(self._lease, self.name, destination.folder, destination.name)
        except OSError as error:
            if error.errno not in CANT_EXCHANGE:
                raise
            self._swap_in_two_steps(destination)

    def _swap_in_two_steps(self, destination: Destination) -> None:
        """For file systems that can't exchange (NFS): for a moment, nothing stands at the destination."""
        aside = f"{self.name}-replaced"
        os.rename(destination.name, aside, src_dir_fd=destination.folder, dst_dir_fd=self._lease)
        try:
            _rename(self.name, self._lease, destination)
        except OSError:
            os.rename(aside, destination.name, src_dir_fd=self._lease, dst_dir_fd=destination.folder)
            raise
        shutil.rmtree(aside, ignore_errors=True, dir_fd=self._lease)


def sweep_staging(roots: Sequence[Path], keep: Collection[str] = ()) -> None:
    """Remove what dead leases left in the staging folders; `keep` names those that live, as JOB-EPOCH."""
    for root in roots:
        with suppress(FileNotFoundError), ExitStack() as held:
            staging = os.open(root / STAGING, OWN_FOLDER)
            held.callback(os.close, staging)
            with os.scandir(staging) as leases:
                dead = [lease.name for lease in leases if lease.name not in keep]
            for name in dead:
                shutil.rmtree(name, ignore_errors=True, dir_fd=staging)


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
