"""Client of the daemon's HTTP API for other programs: sync `Client`, async `AsyncClient` (docs/clients.md)."""

from secondunit.client.aio import AsyncClient
from secondunit.client.aio_work import AsyncRun
from secondunit.client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    LeaseLost,
    NoAnswer,
    NotFound,
    Refused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    WaitTimedOut,
    WebhookRefused,
)
from secondunit.client.leases import Lease, Partial, WorkFailed, WorkStopped
from secondunit.client.sync import Client
from secondunit.client.sync_work import Run
from secondunit.client.webhooks import Receiver, verify

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "Client",
    "ClientError",
    "Conflict",
    "Forbidden",
    "Invalid",
    "Lease",
    "LeaseLost",
    "NoAnswer",
    "NotFound",
    "Partial",
    "Receiver",
    "Refused",
    "Run",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "WaitTimedOut",
    "WebhookRefused",
    "WorkFailed",
    "WorkStopped",
    "verify",
]
