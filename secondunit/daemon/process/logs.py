"""Structured logging: events with keys, to stderr, for a person or as JSON lines, and no secret in either."""

import io
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from secondunit.daemon.process.visible_text import visible, visible_json
from secondunit.queue.payloads.redaction import HIDDEN, redacted

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
INDENTED = "    "

log = structlog.get_logger(__name__)


class Lines(Protocol):
    """Takes lines."""

    def write(self, text: str, /) -> object:
        """Take whole lines, and never wait nor raise."""
        ...

    def isatty(self) -> bool:
        """Whether a person reads."""
        ...


def configure(format: str, level: str, secrets: Collection[str], sink: Lines) -> Callable[[int], str]:
    """Send everything that is logged, by us and by libraries, to `sink`; `format` is "auto", "console" or "json".

    Gives what makes the line that says how many were lost.
    """
    console = sink.isatty() if format == "auto" else format == "console"
    ending = [_named, _for_people(secrets, sink.isatty()) if console else _for_machines(secrets)]
    handler = _LibraryLines(sink)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_shared(), processors=ending))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*_shared(), *ending],
        logger_factory=partial(_Logger, sink),
        # A line below the level costs a call; with the level judged by a processor, 33 us in place of 10.
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return partial(_lost, [*_shared(), *ending])


def get(name: str) -> Any:
    """A logger whose methods take an event's name and its keys: `log.info("job.settled", status="failed")`."""
    return structlog.stdlib.get_logger(name)


class _Logger:
    """Writes lines of one of our loggers; the way through a record of `logging` would double what a line costs."""

    def __init__(self, sink: Lines, name: str = "secondunit") -> None:
        self.name = name
        self._sink = sink

    def msg(self, line: str) -> None:
        """Write a line."""
        self._sink.write(f"{line}\n")

    debug = info = warning = error = critical = msg


class _LibraryLines(logging.StreamHandler[Lines]):
    """Writes lines of libraries; of one that can't be put together it says where it comes from, and nothing in it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Python's own would print the line's arguments, secrets among them."""
        told = f"a line of {record.name} at {record.pathname}:{record.lineno} can't be written"
        get(__name__).error("log.broken", message=told)


class Strays(io.TextIOBase):
    """Takes the place of sys.stderr: what is printed there, warnings and last words of threads, are lines as well."""

    def __init__(self) -> None:
        self._begun = ""

    def write(self, text: str) -> int:
        """Log each line that is whole now."""
        *lines, self._begun = f"{self._begun}{text}".split("\n")
        for line in lines:
            log.warning("stderr", message=line)
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True


def _lost(processors: Sequence[Processor], number: int) -> str:
    told = io.StringIO()
    message = f"{number} lines of this log were lost: nobody took them"
    anyway = structlog.make_filtering_bound_logger("debug")
    teller = structlog.wrap_logger(_Logger(told, __name__), processors, wrapper_class=anyway)
    teller.warning("log.lost", message=message, lines=number)
    return told.getvalue()


def _shared() -> list[Processor]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]


def _named(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give every line all of its keys, in one order; a library's line has its text as message and no event's name."""
    if event.pop("_record", None) is not None:
        event.pop("_from_structlog")
        event.setdefault("message", event["event"])
        event["event"] = "log"
    event.setdefault("event_type", event["event"])
    ordered = {key: event.pop(key, None) for key in KEYS}
    return {**ordered, **event}


def _for_machines(secrets: Collection[str]) -> Processor:
    """JSON lines; the rare one that holds a secret is made twice, for to look through every value takes as long."""
    forms = _forms(secrets)
    quoted = [json.dumps(form, ensure_ascii=False)[1:-1] for form in forms]

    def rendered(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
        try:
            line = _json(event)
        except TypeError:  # of a key that JSON does not take
            return visible_json(_json(_struck(event, forms)))
        return visible_json(redacted(_json(_struck(event, forms)) if any(form in line for form in quoted) else line))

    return rendered


def _for_people(secrets: Collection[str], colors: bool) -> Processor:
    forms = _forms(secrets)
    # A pretty traceback would show the variables of each frame, secrets among them.
    plain = structlog.dev.plain_traceback
    render = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, sort_keys=False, exception_formatter=plain)

    def readable(logger: WrappedLogger, method: str, event: EventDict) -> str:
        event = _struck(event, forms)
        message = event.pop("message", None)
        if event.get("event_type") == event["event"]:
            event["event_type"] = None
        event["event"] = message or event["event"]
        return render(logger, method, {key: _shown(key, value) for key, value in event.items() if value is not None})

    return readable


def _forms(secrets: Collection[str]) -> Sequence[str]:
    """What a secret may look like: as it is, and as Python or JSON would quote it; the longest first."""
    forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])}
    return sorted((form for form in forms if len(form) >= SHORTEST_SECRET), key=len, reverse=True)


def _struck(event: EventDict, forms: Sequence[str]) -> dict[str, Any]:
    """The event with secrets struck out of every text in it."""

    def struck(value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {struck(key): struck(member) for key, member in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [struck(member) for member in value]
        text = str(value)
        for form in forms:
            text = text.replace(form, HIDDEN)
        return redacted(text)

    return {key: struck(value) for key, value in event.items()}


def _shown(key: str, value: Any) -> Any:
    """A value as a terminal may have it: on one line, and a traceback on lines that begin as no other line does."""
    if not isinstance(value, str):
        return value  # shown by repr()
    if key == "exception":
        return "\n".join(INDENTED + visible(line) for line in value.split("\n"))
    return visible(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, set | frozenset) else str(value)


_json = json.JSONEncoder(ensure_ascii=False, default=_plain).encode
