"""Partial download and its sidecar, which says of which file it is, so that a later run can go on. Blocking."""

import ctypes
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

FALLOC_FL_KEEP_SIZE = 1
CANT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS)
FLOOR = 64 * 1024 * 1024  # what a reservation leaves of the disk, so that the queue can still be written
PIECE = 1 << 20
NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
OURS, OWN_FOLDER = os.O_CREAT | NO_LINK, os.O_RDONLY | os.O_DIRECTORY | NO_LINK
MACHINE_BOOT = Path("/proc/sys/kernel/random/boot_id")
# Only such a one promises the same bytes, and may stand in If-Range (RFC 9110, 8.8.3 and 13.1.5).
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')


@dataclass(frozen=True, slots=True)
class Origin:
    """Which file a part is of: the strong ETag under which the server can be asked for the rest of it."""

    url: str
    etag: str
    length: int | None
    content_type: str | None


class PartialFile:
    """`NAME.part` and `NAME.json` in a folder. `have` bytes of it are there, `sha256` is theirs."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.part"
        self._note = f"{name}.json"
        self._folder = os.open(folder, OWN_FOLDER)
        try:
            self._fd = os.open(self.path.name, os.O_RDWR | OURS, 0o600, dir_fd=self._folder)
        except BaseException:
            os.close(self._folder)
            raise
        self._hash = hashlib.sha256()
        self.have = 0

    def close(self) -> None:
        """Let go of the file, and of what was reserved for it beyond its end."""
        try:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size)
        finally:
            os.close(self._fd)
            os.close(self._folder)

    def resume(self, url: str, beat: Callable[[], None]) -> Origin | None:
        """Take up what an earlier run left of `url`; None, and empty, when that can't be trusted.

        It is read, and `beat` called with each piece.
        """
        try:
            with os.fdopen(os.open(self._note, os.O_RDONLY | NO_LINK, dir_fd=self._folder)) as file:
                note = json.load(file)
            origin, boot = Origin(**note["origin"]), note["boot"]
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            origin, boot = None, None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            origin, boot = None, None
        size = os.fstat(self._fd).st_size
        # After a power cut a part may have holes where its bytes were: only this life of the machine trusts its own.
        fits = origin and origin.url == url and boot == machine_boot() and size <= (origin.length or size)
        if origin is None or not fits or size == 0:
            self.begin(None)
            return None
        self._hash_what_is_there(beat)
        return origin

    def begin(self, origin: Origin | None) -> None:
        """Start over; with an origin, in a way that a later run can go on from."""
        with suppress(FileNotFoundError):
            os.unlink(self._note, dir_fd=self._folder)
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash, self.have = hashlib.sha256(), 0
        if origin is not None:
            draft = f"{self._note}.new"
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_TRUNC | OURS, 0o600, dir_fd=self._folder), "w") as file:
                json.dump({"origin": asdict(origin), "boot": machine_boot()}, file)
            os.replace(draft, self._note, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def reserve(self, more: int) -> None:
        """Claim room for so many further bytes; OSError(ENOSPC) if the disk has not that and a little to spare."""
        disk = os.fstatvfs(self._fd)
        if disk.f_bavail * disk.f_frsize < more + FLOOR:
            raise OSError(errno.ENOSPC, f"no room on the disk for {more} bytes", str(self.path))
        libc = ctypes.CDLL(None, use_errno=True)
        offset, length = ctypes.c_int64(self.have), ctypes.c_int64(more)
        if more and libc.fallocate64(self._fd, FALLOC_FL_KEEP_SIZE, offset, length) != 0:
            number = ctypes.get_errno()
            if number not in CANT_RESERVE:
                raise OSError(number, os.strerror(number), str(self.path))

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._hash.update(data)
        self.have += len(data)

    @property
    def sha256(self) -> str:
        """Of what is there, in hex."""
        return self._hash.hexdigest()

    def _hash_what_is_there(self, beat: Callable[[], None]) -> None:
        os.lseek(self._fd, 0, os.SEEK_SET)
        while piece := os.read(self._fd, PIECE):
            self._hash.update(piece)
            self.have += len(piece)
            beat()


def machine_boot() -> str:
    """Names this life of the machine: what was written in another may not have reached the disk; "" where unknown."""
    try:
        return MACHINE_BOOT.read_text().strip()
    except OSError:
        return ""
