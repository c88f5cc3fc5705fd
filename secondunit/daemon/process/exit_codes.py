"""Exit codes of `secondunit run`, and which of them an error ends it with."""

from collections.abc import Iterator

from secondunit.queue.errors import BoxTaken, StoreBroken, StoreFull

DRAINED, LOOP_DIED, STORE_FAILED, ANOTHER_HAS_IT, MISCONFIGURED = 0, 70, 74, 75, 78


def exit_code(error: BaseException) -> int:
    """What a part that must not end has ended with: another has its name, the database or its disk, anything else."""
    if any(isinstance(cause, BoxTaken) for cause in causes(error)):
        return ANOTHER_HAS_IT
    return STORE_FAILED if any(isinstance(cause, StoreBroken | StoreFull) for cause in causes(error)) else LOOP_DIED


def causes(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, and of groups within it; else the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from causes(member)
    else:
        yield error
