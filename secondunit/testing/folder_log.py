"""Records of published folders in memory, for tests of what publishes some."""

from secondunit.handlers.tools.storage.ownership import FolderLog
from secondunit.queue.clock import Clock
from secondunit.queue.stores.memory_ports import MemoryFolders
from secondunit.testing.clock import ManualClock


def folder_log(clock: Clock | None = None) -> FolderLog:
    """Empty records; by a clock that stands still, if none is given."""
    return FolderLog(MemoryFolders(), clock or ManualClock())
