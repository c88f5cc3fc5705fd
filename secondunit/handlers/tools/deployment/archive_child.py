"""Archive extractor: the files of a commit out of git's tar; nothing in it can reach out of its folder.

A program of its own: `archive_child.py ARCHIVE FOLDER`, which prints {error, message} for a tree that it refuses. A
small commit may name a billion files, and Python's tarfile keeps what it has read of each.
Symbolic links are made last: while files are written there is none that could lead one of them elsewhere.
"""

import json
import os
import sys
import tarfile
from pathlib import Path, PurePosixPath

FOLDER, FILE, PROGRAM = 0o755, 0o644, 0o755
PIECE, MOST_MEMBERS = 1 << 20, 500_000
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafeTree(Exception):
    """A tree that no honest commit has."""


def extract(archive: Path, folder: Path) -> None:
    """Fill an empty `folder`; UnsafeTree for a tree that no honest commit has."""
    links: list[tuple[Path, str]] = []
    try:
        with tarfile.open(archive, "r:") as tar:
            for number, member in enumerate(tar):
                if number >= MOST_MEMBERS:
                    raise UnsafeTree(f"the commit has more than {MOST_MEMBERS} files")
                path = folder / _safe(member.name)
                if member.isdir():
                    path.mkdir(FOLDER, parents=True, exist_ok=True)
                elif member.issym():
                    links.append((path, member.linkname))
                elif member.isreg():
                    _write(tar, member, path)
                else:
                    raise UnsafeTree(f"{member.name} is neither a file, a folder nor a link")
        for path, target in links:
            path.parent.mkdir(FOLDER, parents=True, exist_ok=True)
            path.symlink_to(target)
    except (FileExistsError, NotADirectoryError) as error:
        raise UnsafeTree(f"{error.filename} is in the commit twice") from None
    _refuse_escapes(folder, links)


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise UnsafeTree(f"{name!r} is no name that may be in a commit")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(FOLDER, parents=True, exist_ok=True)
    mode = PROGRAM if member.mode & 0o100 else FILE
    content = tar.extractfile(member)
    if content is None:
        raise UnsafeTree(f"{member.name} has no content")
    with content, os.fdopen(os.open(path, NEW, mode), "wb") as file:
        while piece := content.read(PIECE):
            file.write(piece)
        os.fchmod(file.fileno(), mode)


def _refuse_escapes(folder: Path, links: list[tuple[Path, str]]) -> None:
    """What is published could be read through a link that leads outside, by a web server for one."""
    home = folder.resolve()
    for path, target in links:
        if not Path(os.path.realpath(path)).is_relative_to(home):
            name = path.relative_to(folder)
            raise UnsafeTree(f"the link {name} leads out of the repository, to {target}")


if __name__ == "__main__":
    try:
        extract(Path(sys.argv[1]), Path(sys.argv[2]))
    except UnsafeTree as refusal:
        sys.stdout.write(json.dumps({"error": "unsafe_tree", "message": str(refusal)}) + "\n")
