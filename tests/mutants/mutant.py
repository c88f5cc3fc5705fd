"""A planted bug: which text of which file becomes what, and the tests that must fail of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `file` (below secondunit/queue) `old`, which must stand there once, becomes `new`; `killers` are test ids."""

    name: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]


def unit(module: str, *tests: str) -> tuple[str, ...]:
    """Ids of tests in tests/unit."""
    return tuple(f"tests/unit/test_{module}.py::test_{test}" for test in tests)


def memory(*tests: str) -> tuple[str, ...]:
    """Ids of contract tests on the reference store."""
    return tuple(f"tests/contract/test_memory_contract.py::TestMemoryStore::test_{test}" for test in tests)


def sqlite(*tests: str) -> tuple[str, ...]:
    """Ids of contract tests on the SQLite store."""
    return tuple(f"tests/contract/test_sqlite_contract.py::TestSqliteStore::test_{test}" for test in tests)
