"""Keyring factory: the keys of the database and of the settings, and the rule which hosts need one."""

from random import SystemRandom

from secondunit.daemon.access.keyring import Keyring
from secondunit.daemon.config.loader import BadConfig, exposed
from secondunit.daemon.config.settings import Settings
from secondunit.queue.clock import Clock
from secondunit.queue.store import Store


async def keyring_of(settings: Settings, store: Store, clock: Clock) -> Keyring:
    """The keys that are valid; BadConfig if other machines could reach a daemon without any."""
    setting = settings.api_key.get_secret_value() if settings.api_key else None
    keys = Keyring(store.keys, setting, clock, SystemRandom(), shared=settings.database.shared)
    await keys.load()
    if not settings.loopback and not keys.exist:
        raise BadConfig([exposed(settings.host)])
    return keys
