"""This daemon as a box of its queue: its row, its name taken before anything of an earlier boot is freed, its beats."""

import asyncio
import socket
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from secondunit.daemon.config.remote.tables import digest
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.diagnosis.shared_rules import digests
from secondunit.daemon.sight.boxes import KnownBoxes
from secondunit.daemon.wiring.components import World
from secondunit.queue.clock import Clock
from secondunit.queue.handler import Registry
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.running.presence import Presence, enter
from secondunit.queue.store import Store

ALONE = timedelta(minutes=15)  # between two beats where nobody else reads them: retention goes by them, no more


async def entered(settings: Settings, store: Store, clock: Clock, boot: str, types: Registry, version: str) -> BoxRow:
    """The row of this box, whose name it has from now on; BoxTaken if another daemon lives under it."""
    box = BoxRow(
        settings.box,
        boot,
        address_of(settings, settings.port),
        version,
        {type: spec.concurrency for type, spec in types.items()},
        settings.max_concurrent_jobs,
        timedelta(seconds=settings.lease_seconds),
        clock.now(),
        remote={type: digest(table) for type, table in settings.remote_types.items()},
        rules=digests(settings, store.secret),
    )
    if not settings.database.shared:
        return await store.boxes.enter(box)  # the lock of the database says that nobody else lives
    note = settings.data_dir / "boot"
    row = await enter(store, clock, box, await asyncio.to_thread(_read, note))
    await asyncio.to_thread(note.write_text, boot)
    return row


def presence_of(world: World, box: BoxRow, hold: Callable[[bool], None]) -> tuple[Presence, KnownBoxes]:
    """What beats for the box, and what lists it among the others."""
    shared = world.settings.database.shared
    presence = Presence(world.store, world.clock, box, hold, every=None if shared else ALONE, emit=world.emit)
    return presence, KnownBoxes(world.store, presence, world.clock, shared=shared)


def address_of(settings: Settings, port: int) -> str:
    """Where others reach the API, as far as this machine knows: its name where it listens everywhere."""
    host = settings.host
    try:
        found = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if found.is_unspecified:
        return f"http://{socket.gethostname()}:{port}"
    return f"http://[{found}]:{port}" if found.version == 6 else f"http://{found}:{port}"


def _read(note: Path) -> str | None:
    """The boot that had this DATA_DIR before, and is over since we have the folder's lock."""
    try:
        return note.read_text().strip()
    except FileNotFoundError:
        return None
