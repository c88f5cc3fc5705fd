"""Path policy: inside which of MEDIA_ROOTS a path lies by its name alone, or why it may not be used."""

from collections.abc import Sequence
from pathlib import Path

from secondunit.queue.value import Value

STAGING = ".secondunit"
LONGEST_NAME, LONGEST_PATH = 255, 4000
SHOWN = 200


class PathRefused(ValueError):
    """A path that can't be used, and why."""


class RootedPath(Value, frozen=True):
    """Something beneath a root: its path as asked for, the root, and at least one name that leads there."""

    path: str
    root: Path
    names: tuple[str, ...]

    def holds(self, other: "RootedPath") -> bool:
        """Whether `other` is this very place or lies inside it."""
        return other.parts[: len(self.parts)] == self.parts

    @property
    def parts(self) -> tuple[str, ...]:
        """All names from / on."""
        return (*self.root.parts, *self.names)

    @property
    def key(self) -> str:
        """The one way to write it."""
        return str(Path(*self.parts))


class Roots:
    """The folders that payloads may name, most specific first."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = sorted(roots, key=lambda root: len(root.parts), reverse=True)

    def locate(self, path: str) -> RootedPath:
        """Where a path lies; Refused when it could not be an input or an output whatever is on the disk."""
        names = _names(path)
        for root in self._roots:
            depth = len(root.parts) - 1
            if names[:depth] == root.parts[1:]:
                return _inside(path, root, names[depth:])
        raise PathRefused(f"{shown(path)} is outside of MEDIA_ROOTS; allowed are paths beneath {self._listed()}")

    def locate_output(self, path: str, inputs: Sequence[str]) -> RootedPath:
        """As `locate`, for a file that is going to be replaced."""
        place = self.locate(path)
        if path.endswith(("/", "/.")):
            raise PathRefused(f"{shown(path)} ends as a folder's name does; name a file")
        for source in inputs:
            if self._holds(place, source):
                raise PathRefused(f"{shown(path)} is the input itself; name another file")
        return place

    def locate_folder(self, path: str, inputs: Sequence[str]) -> RootedPath:
        """As `locate`, for a folder that is going to be replaced as a whole."""
        place = self.locate(path)
        for root in self._roots:
            if root.parts[: len(place.parts)] == place.parts:
                raise PathRefused(f"{shown(path)} contains {root}, one of MEDIA_ROOTS; name a folder of its own")
        for source in inputs:
            if self._holds(place, source):
                raise PathRefused(f"{shown(path)} contains the input {shown(source)}; name another folder")
        return place

    def _holds(self, folder: RootedPath, source: str) -> bool:
        """Whether an input lies in a folder; one that is refused itself lies nowhere."""
        try:
            return folder.holds(self.locate(source))
        except PathRefused:
            return False

    def _listed(self) -> str:
        return ", ".join(str(root) for root in self._roots) or "none: no root is configured"


def _names(path: str) -> tuple[str, ...]:
    """The names along an absolute path, checked one by one."""
    if not path.startswith("/"):
        raise PathRefused(f"{shown(path)} is not absolute; write it from / on, beneath one of MEDIA_ROOTS")
    if "\0" in path:
        raise PathRefused("a path can't contain a NUL character")
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        raise PathRefused("a path must be valid UTF-8") from None
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if ".." in names:
        raise PathRefused(f"{shown(path)} contains '..'; write the path without it")
    if len(raw) > LONGEST_PATH or any(len(name.encode()) > LONGEST_NAME for name in names):
        raise PathRefused(
            f"{shown(path)} is too long: {LONGEST_NAME} bytes a name and {LONGEST_PATH} in all are possible"
        )
    return names


def _inside(path: str, root: Path, names: tuple[str, ...]) -> RootedPath:
    if not names:
        raise PathRefused(f"{shown(path)} is one of MEDIA_ROOTS itself; name something beneath it")
    if names[0] == STAGING:
        raise PathRefused(f"{shown(path)} is for Second Unit's own use; name something outside of {STAGING}")
    return RootedPath(path, root, names)


def shown(path: str) -> str:
    """What was asked for, quoted and not too long, for a message."""
    return repr(path if len(path) <= SHOWN else path[:SHOWN] + "...")
