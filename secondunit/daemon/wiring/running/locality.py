"""Factory of a box's locality: what of the queue, and of the records of published folders, is this box's."""

from collections.abc import Iterable

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.files.box_folders import BoxFolders
from secondunit.queue.payloads.locality import Locality
from secondunit.queue.ports.folders import Folders
from secondunit.queue.store import Store


def locality_of(settings: Settings, types: Iterable[str] = ()) -> Locality:
    """What of the queue is this box's; settings spell the types with underscores."""
    most = settings.global_concurrency
    overall = {type: most[key] for type in types if (key := type.replace("-", "_")) in most}
    shared = [str(folder) for folder in settings.shared_roots]
    return Locality(settings.box, shared, overall, alone=not settings.database.shared)


def folders_of(settings: Settings, store: Store) -> Folders:
    """The records of what this box published."""
    return BoxFolders(store.folders, locality_of(settings))
