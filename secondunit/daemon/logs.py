"""Logs: events with keys, to stderr, as text for a person or JSON lines for a machine, and no secret in either."""

import json
import logging
import sys
from collections.abc import Collection, Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

KEYS = (
    "timestamp",
    "level",
    "event",
    "event_type",
    "logger",
    "job_id",
    "type",
    "phase",
    "elapsed_ms",
    "message",
)
QUIET = ("asyncio", "aiosqlite", "aiohttp", "PIL", "urllib3", "httpx")
SHORTEST_SECRET = 4


def configure(format: str, level: str, secrets: Collection[str], stream: TextIO = sys.stderr) -> None:
    """Send everything that is logged, by us and by libraries, to `stream`; `format` is "auto", "console" or "json"."""
    console = stream.isatty() if format == "auto" else format == "console"
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            _named,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _masking(secrets),
            *(_for_people(stream.isatty()) if console else _for_machines()),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get(name: str) -> Any:
    """A logger whose methods take an event's name and its keys: `log.info("job.settled", status="failed")`."""
    return structlog.stdlib.get_logger(name)


def _shared() -> list[Processor]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]


def _named(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give every line all of its keys, in one order; a library's line has its text as message and no event's name."""
    if not event["_from_structlog"]:
        event.setdefault("message", event["event"])
        event["event"] = "log"
    event.setdefault("event_type", event["event"])
    ordered = {key: event.pop(key, None) for key in KEYS}
    return {**ordered, **event}


def _for_machines() -> list[Processor]:
    return [structlog.processors.JSONRenderer(serializer=json.dumps, ensure_ascii=False)]


def _for_people(colors: bool) -> list[Processor]:
    def readable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        message = event.pop("message", None)
        if event.get("event_type") == event["event"]:
            event["event_type"] = None
        event["event"] = message or event["event"]
        return {key: value for key, value in event.items() if value is not None}

    return [readable, structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, sort_keys=False)]


def _masking(secrets: Collection[str]) -> Processor:
    """Strikes secrets out of every text, as they are and as Python or JSON would quote them."""
    forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])}
    longest_first = sorted((form for form in forms if len(form) >= SHORTEST_SECRET), key=len, reverse=True)

    def struck(value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {struck(key): struck(member) for key, member in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [struck(member) for member in value]
        text = str(value)
        for form in longest_first:
            text = text.replace(form, "***")
        return text

    def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: struck(value) for key, value in event.items()}

    return mask
