"""Outputs of a stream, read from its result: its playlists, and the folder that holds all that they lead to; pure."""

from collections.abc import Iterator, Mapping
from typing import Any


def playlists(result: Any) -> Mapping[str, str]:
    """The paths of the playlists by their names in the stream's folder, the master first."""
    home = folder(result)
    return {} if home is None else {path.removeprefix(f"{home}/"): path for path in _paths(result, home)}


def folder(result: Any) -> str | None:
    """The stream's folder."""
    master = result.get("masterPath") if isinstance(result, Mapping) else None
    return master.rpartition("/")[0] if isinstance(master, str) else None


def _paths(result: Mapping[str, Any], home: str) -> Iterator[str]:
    yield result["masterPath"]
    renditions = result.get("renditions")
    for rendition in renditions if isinstance(renditions, list) else ():
        path = rendition.get("path") if isinstance(rendition, Mapping) else None
        if isinstance(path, str) and path.startswith(f"{home}/"):
            yield path
