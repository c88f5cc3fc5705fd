"""Warnings about settings: what is odd or without effect, but does not stop the start."""

import difflib
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from secondunit.daemon.config.settings import (
    PER_TYPE,
    Extra,
    Settings,
    Tables,
    marked,
    secret_names,
    type_of,
)
from secondunit.daemon.config.signing_keys import SAFE, signing_key
from secondunit.daemon.config.sources import installed

NEAR, SUSPECT = 0.84, 0.7
FIRST_WORDS = [name.partition("_")[0] for name in PER_TYPE]
SHORT_KEY = 20
PROTOCOL, HTTP = "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
LARGEST_DOTENV, SHOWN = 65536, 5
REPLACED = {
    "UVICORN_WORKERS": "one process does all the work; MAX_CONCURRENT_JOBS and CONCURRENCY_<TYPE> say how much at once",
    "QUEUE_TYPE": "the queue is always the durable one; QUEUE_URL says where it lies",
    "REDIS_URL": "no Redis is needed; the queue lies in the database that QUEUE_URL names",
}


def oddities(environ: Mapping[str, str], settings: Settings, origins: Mapping[str, str]) -> Iterator[str]:
    """Warnings for what was given by `environ` and by other `origins`."""
    for name, instead in REPLACED.items():
        if name in environ:
            yield f"{name} is not used: {instead}"
    yield from absent_extras(settings, _is_there)
    if (protocol := environ.get(PROTOCOL, HTTP)) != HTTP:
        yield f"{PROTOCOL}={protocol} is not spoken here: traces are sent by {HTTP}"
    yield from _near_misses(environ)
    yield from _dotenv(Path(".env"))
    for name, path in readable_secrets(settings, origins):
        yield f"{name} can be read by everybody on this machine: `chmod o-r {path}`"
    yield from _unknown_credentials(environ.get("CREDENTIALS_DIRECTORY"))
    if settings.api_key and len(settings.api_key.get_secret_value()) < SHORT_KEY:
        yield f"API_KEY is short enough to be guessed; {SHORT_KEY} random characters are safe"
    if settings.callback_secret and len(signing_key(settings.callback_secret.get_secret_value())) < SAFE:
        yield f"CALLBACK_SECRET is short enough to be guessed; {SAFE} random bytes are safe"
    if settings.processor_mode == "active" and "backend_api_url" not in origins:
        yield f"BACKEND_API_URL is not set: active mode polls {settings.backend_api_url}"


def absent_extras(settings: Settings, is_there: Callable[[str], bool]) -> Iterator[str]:
    """Warnings for settings of extras that are not installed."""
    for name, extra in marked(Extra).items():
        if getattr(settings, name) is not None and not is_there(extra.module):
            how = f"`make {extra.name}` in the checkout, or secondunit[{extra.name}], installs it"
            yield f"{name.upper()} IS NOT USED: the extra {extra.name} is not installed, so {extra.so}; {how}"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that it would be a part of
        return False


def _dotenv(path: Path) -> Iterator[str]:
    """A warning if there is a file that looks as if it were to be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(LARGEST_DOTENV).splitlines()
    except OSError:
        return
    names = (line.partition("=")[0].removeprefix("export ").strip() for line in lines if "=" in line)
    ours = sorted({name for name in names if name.lower() in Settings.model_fields or type_of(name.lower())[1]})
    if ours:
        named = ", ".join(ours[:SHOWN]) + (", ..." if len(ours) > SHOWN else "")
        yield (
            f"{path.absolute()} IS NOT READ, though it names {named}: settings come from the environment (`set -a; "
            ". ./.env; set +a`), systemd's EnvironmentFile, or SECONDUNIT_CONFIG"
        )


def readable_secrets(settings: Settings, origins: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """The secrets in a file that everybody on this machine may read, and the file."""
    tables = marked(Tables) if any(project.secrets() for project in settings.deploy.values()) else ()
    for name in (*secret_names(), *tables):
        origin = origins.get(name, "default")
        path = Path(origin)
        if origin not in ("default", "environment") and path.is_file() and path.stat().st_mode & stat.S_IROTH:
            yield name.upper(), path


def _unknown_credentials(folder: str | None) -> Iterator[str]:
    """Warnings for files of our credentials that mean no setting: GEMINI_KEY for GEMINI_API_KEY."""
    if not folder or not Path(folder).is_dir():
        return
    known = secret_names()
    for path in sorted(Path(folder).iterdir()):
        name = path.name.removeprefix("secondunit_")
        if name not in known and (name != path.name or difflib.get_close_matches(name, known, 1, NEAR)):
            near = difflib.get_close_matches(name, known, 1, SUSPECT)
            yield f"the credential {name} is no secret setting; {near[0] if near else ', '.join(known)}, perhaps?"


def _near_misses(environ: Mapping[str, str]) -> Iterator[str]:
    names = [name.upper() for name in Settings.model_fields if name not in ("retry", *marked(Tables), *PER_TYPE)]
    for variable in environ:
        if variable in names or type_of(variable.lower())[1] or variable in REPLACED or len(variable) < 4:
            continue
        if variable.startswith(("AWS_", "OTEL_", "SENTRY_")):  # libraries know many more of them
            continue
        if near := difflib.get_close_matches(variable, [*names, *_per_type_names(variable)], 1, NEAR):
            yield f"{variable} is not a setting; {near[0]}, perhaps?"


def _per_type_names(variable: str) -> Sequence[str]:
    """The settings of each type there is, for a variable that might mean one: to look for types takes 20 ms."""
    if not difflib.get_close_matches(variable.partition("_")[0].lower(), FIRST_WORDS, 1, SUSPECT):
        return ()
    return [_variable(setting, source.type) for setting in PER_TYPE for source in installed()]


def _variable(setting: str, type: str) -> str:
    return f"{setting}_{type}".upper().replace("-", "_")


def unserved(settings: Settings, served: Sequence[str]) -> Iterator[str]:
    """Warnings for settings of job types that nothing here serves: CONCURRENCY_HSL."""
    for setting in PER_TYPE:
        for type in getattr(settings, setting):
            if type not in {name.replace("-", "_") for name in served}:
                near = difflib.get_close_matches(type, served, 1)
                hint = f"{_variable(setting, near[0])}, perhaps?" if near else f"served are {', '.join(served)}"
                yield f"{setting}_{type}".upper() + f": no such job type; {hint}"
    for type in {*settings.retry, *settings.types} - set(served):
        yield f"types.{type}: no such job type; served are {', '.join(served)}"
