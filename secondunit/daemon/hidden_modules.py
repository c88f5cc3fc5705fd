"""Modules that can't be imported for a while: what libraries take where they find it, and the daemon has no use for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# 3.5 and 2 MiB, for structlog.
LOGGING = ("rich", "greenlet")
# For aiohttp. An answer in Brotli nobody asks for then; a list that can be frozen is one in plain Python.
HTTP = ("brotli", "brotlicffi", "frozenlist._frozenlist")


@contextmanager
def unseen(*names: str) -> Iterator[None]:
    """For as long as this is open, these modules can't be imported."""
    hidden = [name for name in names if sys.modules.setdefault(name, None) is None]  # type: ignore[arg-type]  # what the import statement refuses
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
