"""OTLP exporter of traces over HTTP, set up by OpenTelemetry's own variables; without it nothing of it is imported."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from secondunit.daemon.telemetry.spans import GivenIds, Spans
from secondunit.queue.clock import Clock

LAST_SPANS = 2.0  # seconds in which those that wait may still be sent


@asynccontextmanager
async def exported(
    endpoint: str, headers: Mapping[str, str], clock: Clock, *, version: str, box: str
) -> AsyncIterator[Spans]:
    """A sink whose spans go to this URL; what waits at the end has two seconds to get there.

    A collector that is down costs nothing but its spans: of those at most OTEL_BSP_MAX_QUEUE_SIZE wait.
    """
    exporter = await asyncio.to_thread(OTLPSpanExporter, endpoint, headers=dict(headers))
    ids = GivenIds()
    provider = TracerProvider(resource=_resource(version, box), id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield Spans(provider, ids, clock)
    finally:
        await asyncio.to_thread(_end, provider, exporter)


def headers_of(text: str) -> Mapping[str, str]:
    """Headers as OTEL_EXPORTER_OTLP_HEADERS has them: `name=value`, apart by commas."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _resource(version: str, box: str) -> Resource:
    found = Resource.create({SERVICE_VERSION: version, SERVICE_INSTANCE_ID: box})
    named = "OTEL_SERVICE_NAME" in os.environ or f"{SERVICE_NAME}=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return found if named else found.merge(Resource({SERVICE_NAME: "secondunit"}))


def _end(provider: TracerProvider, exporter: OTLPSpanExporter) -> None:
    provider.force_flush(int(LAST_SPANS * 1000))
    exporter.shutdown()  # type: ignore[no-untyped-call]  # it ends its tries; the processor would wait for them
    provider.shutdown()
