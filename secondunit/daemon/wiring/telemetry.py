"""Factory of what sends traces and errors elsewhere: imported only where a setting asks and its extra is there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.process.exit_codes import causes
from secondunit.daemon.trace_context import SentOn, passed_on
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Sink
from secondunit.queue.value import Value

if TYPE_CHECKING:
    from secondunit.daemon.telemetry.sentry import ErrorReports
    from secondunit.daemon.telemetry.spans import Spans

TRACES = "/v1/traces"
EXTRAS = ("opentelemetry", "sentry_sdk")


class Telemetry(Value, frozen=True):
    """The sinks that somebody asked for; whether runs are followed, and the `traceparent` that deliveries carry."""

    sinks: Sequence[Sink] = ()
    traced: bool = False
    sent_on: SentOn = passed_on


@asynccontextmanager
async def telemetry_of(settings: Settings, clock: Clock, version: str) -> AsyncIterator[Telemetry]:
    """What the settings ask for; what the daemon dies of while this is open is reported, too."""
    async with AsyncExitStack() as stack:
        reports = await _reports(stack, settings, clock, version)
        spans = await _spans(stack, settings, clock, version)
        sinks: list[Sink] = [sink for sink in (reports, spans) if sink is not None]
        yield Telemetry(sinks, spans is not None, spans.sent_on if spans else passed_on)


def endpoint_of(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """The URL that traces go to, as OpenTelemetry's own variables say; None for nowhere."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    base = settings.otel_exporter_otlp_endpoint
    return None if off else settings.otel_exporter_otlp_traces_endpoint or (base and base + TRACES)


async def _spans(stack: AsyncExitStack, settings: Settings, clock: Clock, version: str) -> Spans | None:
    endpoint, headers = endpoint_of(settings, os.environ), settings.otel_exporter_otlp_headers
    if endpoint is None:
        return None
    try:
        from secondunit.daemon.telemetry.otlp import exported, headers_of
    except ModuleNotFoundError as error:
        _check_extra(error)
        return None
    given = headers_of(headers.get_secret_value()) if headers else {}
    return await stack.enter_async_context(exported(endpoint, given, clock, version=version, box=settings.box))


async def _reports(stack: AsyncExitStack, settings: Settings, clock: Clock, version: str) -> ErrorReports | None:
    if settings.sentry_dsn is None:
        return None
    try:
        from secondunit.daemon.telemetry.sentry import BadDsn, reported
    except ModuleNotFoundError as error:
        _check_extra(error)
        return None
    dsn, secrets = settings.sentry_dsn.get_secret_value(), settings.secrets()
    try:
        opened = reported(dsn, clock, secrets, version=version, box=settings.box, causes=causes)
        return await stack.enter_async_context(opened)
    except BadDsn as error:
        raise BadConfig([f"SENTRY_DSN: {error}; allowed: https://KEY@HOST/PROJECT"]) from None


def _check_extra(error: ModuleNotFoundError) -> None:
    """Go without, which was warned of as the settings were read; anything else that is missing is our own fault."""
    if (error.name or "").partition(".")[0] not in EXTRAS:
        raise error
