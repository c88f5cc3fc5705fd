"""Lease token: job, epoch and a keyed hash (HMAC-SHA256) of both with the key that leased it; nothing of it is stored.

Only the database's secret makes one, and it is good for calls under the very key that it was made for.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from secondunit.queue.model import JobId

PREFIX = "lt"
LONGEST = 200


class LeaseTokens:
    """Makes and reads tokens under this secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, job_id: JobId, epoch: int, key: str) -> str:
        """The token of the lease that a caller with this key got."""
        return f"{PREFIX}.{job_id}.{epoch}.{self._seal(job_id, epoch, key)}"

    def read(self, token: str, key: str) -> tuple[JobId, int] | None:
        """The job and the epoch, if this token was made for a caller with this key."""
        parts = token.split(".") if len(token) <= LONGEST and token.isascii() else []
        if len(parts) != 4 or parts[0] != PREFIX or not parts[2].isdigit() or len(parts[2]) > 18:
            return None
        job_id, epoch = parts[1], int(parts[2])
        return (job_id, epoch) if hmac.compare_digest(self.issue(job_id, epoch, key), token) else None

    def _seal(self, job_id: JobId, epoch: int, key: str) -> str:
        told = f"lease {len(key)} {key} {job_id} {epoch}".encode()
        return urlsafe_b64encode(hmac.digest(self._secret, told, sha256)).decode().rstrip("=")
