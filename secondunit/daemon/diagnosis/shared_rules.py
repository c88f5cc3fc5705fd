"""Settings that hold for what boxes of one queue share, and by which it may be seen that two boxes differ in one."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from secondunit.daemon.config.settings import Settings

# Whichever box does it does it by its own: forgets jobs of all, signs and sends, starts by a limit, lists schedules.
SHARED = (
    "retention_hours",
    "retention_failed_hours",
    "callback_secret",
    "global_concurrency",
    "max_queued_jobs",
    "schedule",
    "shared_roots",
    "media_buckets",
)


def digests(settings: Settings, secret: bytes) -> Mapping[str, str]:
    """A digest of each value by its setting's name; `secret` is the queue's, so that nobody reads a value by it."""
    written = settings.model_dump(mode="json", include={*SHARED})
    found = {}
    for name in SHARED:
        value: Any = getattr(settings, name)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else written[name]
        text = json.dumps(plain, sort_keys=True).encode()
        found[name.upper()] = hmac.digest(secret, name.encode() + text, hashlib.sha256).hex()[:8]
    return found
