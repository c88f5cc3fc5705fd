"""Migration scripts of the SQL stores: numbered .sql files in a folder beside each, forward only."""

from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable

from secondunit.queue.errors import StoreBroken


def newest(store: str) -> int:
    """The schema that the migrations of this store's package lead to."""
    return max(_scripts(store))


def pending(store: str, known: int) -> Sequence[tuple[int, str]]:
    """What a database of schema `known` has not seen, in order; StoreBroken for one that a newer program wrote."""
    scripts = _scripts(store)
    if known > max(scripts):
        raise StoreBroken(
            f"the database has schema {known}, this program knows {max(scripts)}: it was written by a newer version; "
            "install that one again"
        )
    return [(number, scripts[number].read_text()) for number in sorted(scripts) if number > known]


def _scripts(store: str) -> Mapping[int, Traversable]:
    folder = resources.files(store) / "migrations"
    return {int(file.name.split("_")[0]): file for file in folder.iterdir() if file.name.endswith(".sql")}
