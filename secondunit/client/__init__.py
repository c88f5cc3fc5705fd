"""Client of the daemon's HTTP API for other programs: sync `Client`, async `AsyncClient` (docs/clients.md)."""

from secondunit.client.aio import AsyncClient
from secondunit.client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NoAnswer,
    NotFound,
    Refused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    WaitTimedOut,
    WebhookRefused,
)
from secondunit.client.sync import Client
from secondunit.client.webhooks import Receiver, verify

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "Forbidden",
    "Invalid",
    "NoAnswer",
    "NotFound",
    "Receiver",
    "Refused",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "WaitTimedOut",
    "WebhookRefused",
    "verify",
]
