"""Settings loader: the environment over credential files over a TOML file over defaults; all faults at once."""

import difflib
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from secondunit.daemon.config.oddities import oddities
from secondunit.daemon.config.remote.retry_tables import RetryTable
from secondunit.daemon.config.remote.tables import KEYS as REMOTE_KEYS
from secondunit.daemon.config.schedules import KEYS, place, twice
from secondunit.daemon.config.settings import (
    PER_TYPE,
    Settings,
    Tables,
    database_in,
    database_of,
    is_loopback,
    marked,
    secret_names,
    type_of,
)
from secondunit.daemon.config.start_faults import folder_faults
from secondunit.queue.payloads.redaction import redacted
from secondunit.queue.value import Value

DEFAULT_FILE = Path("/etc/secondunit/config.toml")
SERVICE_DATA = Path("/var/lib/secondunit")
# How systemd names the files of a folder given as LoadCredential=secondunit:FOLDER.
CREDENTIAL_PREFIXES = ("", "secondunit_")
TABLES = marked(Tables)
NOT_YOURS = (
    "SECONDUNIT_CONFIG: you may not read {path}, the settings of the service on this machine; put `sudo` in front,"
    " or set it to /dev/null for a daemon of your own"
)
MISPLACED = "above the first [table] of the file, where it is a setting"
WORDS = {
    "missing": "is missing",
    "int_parsing": "is not a whole number",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "literal_error": "is not a word it knows",
    "string_type": "is not text",
    "string_too_short": "is too short",
    "too_short": "is too short",
    "ip_v6_network": "holds something that is no network",
    "extra_forbidden": "is not a key of this table",
}


class BadConfig(Exception):
    """The settings can't be used; `faults` has one line for each that is wrong, none with a secret's value."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Config(Value, frozen=True):
    """The settings, what is odd about them, where each that was given came from, and the folders given as relative."""

    settings: Settings
    warnings: Sequence[str]
    origins: Mapping[str, str]
    relative: Sequence[str] = ()


@dataclass(slots=True)
class _Gathered:
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, name: str, value: Any, origin: str) -> None:
        """Take a value, over one that is there already; the value of one type goes into its setting's table."""
        setting, type = type_of(name)
        if type:
            self.values.setdefault(setting, {})[type] = value
        else:
            self.values[name] = value
        self.origins[name] = origin


def load(
    environ: Mapping[str, str], *, default_file: Path = DEFAULT_FILE, serves: bool = True, starts: bool = False
) -> Config:
    """The settings as this environment gives them, or BadConfig; not `serves`: for a command that opens no port.

    `starts`: the folders are looked at too, as they are now.
    """
    environ = _with_secrets(environ, default_file.with_name("credentials"))
    given = _Gathered()
    given.add("data_dir", environ.get("STATE_DIRECTORY", "data").split(":")[0], "default")
    _from_file(environ, default_file, given)
    _from_credentials(environ, given)
    _from_environment(environ, given)
    settings, wrong = _validated(given)
    given.faults.extend(twice(given.values.get("schedule")))
    given.faults.extend(_exposed(given.values) if serves else ())
    given.faults.extend(folder_faults(_absolute(settings), wrong) if starts else ())
    if given.faults:
        raise BadConfig(given.faults)
    odd = tuple(oddities(environ, settings, given.origins))
    return Config(_absolute(settings), odd, given.origins, tuple(_relative(settings)))


def shown(settings: Settings) -> Mapping[str, Any]:
    """The settings in effect by their variables' names, as JSON values, secrets as `***`."""
    values = settings.model_dump(mode="json")
    values["media_roots"] = [str(root) for root in settings.roots]
    values["queue_url"] = settings.queue_url or settings.database.url
    secret = {name for name in values if isinstance(getattr(settings, name), SecretStr)}
    return {name.upper(): "***" if name in secret else _bare(value) for name, value in values.items()}


def _bare(value: Any) -> Any:
    """The same without the userinfo of its URLs, and whatever else of them may be secret."""
    match value:
        case str():
            return redacted(value)
        case list():
            return [_bare(one) for one in value]
        case dict():
            return {name: _bare(one) for name, one in value.items()}
    return value


def _validated(given: _Gathered) -> tuple[Settings, Collection[str]]:
    """The settings, those that are wrong at their defaults, and the names of these."""
    try:
        return Settings.model_validate(given.values), ()
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
    for detail in details:
        given.faults.extend(_fault(detail, given))
    wrong = {str(detail["loc"][0]) for detail in details}
    right = {name: value for name, value in given.values.items() if name not in wrong}
    return Settings.model_validate(right), wrong


def _with_secrets(environ: Mapping[str, str], of_service: Path) -> Mapping[str, str]:
    """The environment, with the service's secrets where its settings are meant and we may read them."""
    if environ.get("SECONDUNIT_CONFIG") or environ.get("CREDENTIALS_DIRECTORY"):
        return environ
    readable = of_service.is_dir() and os.access(of_service, os.R_OK | os.X_OK)
    return {**environ, "CREDENTIALS_DIRECTORY": str(of_service)} if readable else environ


def _from_file(environ: Mapping[str, str], default: Path, given: _Gathered) -> None:
    named = environ.get("SECONDUNIT_CONFIG")
    path = Path(named) if named else default
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        if not named and isinstance(error, FileNotFoundError | NotADirectoryError):
            return
        if not named and isinstance(error, PermissionError):
            given.faults.append(NOT_YOURS.format(path=path))
            return
        given.faults.append(f"SECONDUNIT_CONFIG: {path} can't be read ({error.strerror}); allowed: a TOML file")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        given.faults.append(f"SECONDUNIT_CONFIG: {path} is not TOML: {error}; allowed: a TOML file")
        return
    types = content.get("types")
    if isinstance(types, Mapping):
        del content["types"]
        _type_tables(types, str(path), given)
    for key, value in content.items():
        if key in ("retry", *PER_TYPE) or (key not in Settings.model_fields and not type_of(key)[1]):
            known = [name for name in Settings.model_fields if name not in ("retry", *PER_TYPE)]
            given.faults.append(f"{key}: unknown key in {path}; allowed: {_suggestion(key, known)}")
        else:
            given.add(key, value, str(path))


def _type_tables(types: Mapping[str, Any], origin: str, given: _Gathered) -> None:
    for type, table in types.items():
        for key in table if isinstance(table, Mapping) else [""]:
            if key != "retry":
                allowed = MISPLACED if key in Settings.model_fields else "retry"
                given.faults.append(f"types.{type}.{key}: unknown key in {origin}; allowed: {allowed}")
        if isinstance(table, Mapping) and "retry" in table:
            given.values.setdefault("retry", {})[type] = table["retry"]
            given.origins["retry"] = origin


def _from_credentials(environ: Mapping[str, str], given: _Gathered) -> None:
    if not (folder := environ.get("CREDENTIALS_DIRECTORY")):
        return
    for name in secret_names():
        for path in (Path(folder, prefix + name) for prefix in CREDENTIAL_PREFIXES):
            if not path.is_file():
                continue
            try:
                value = path.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                given.faults.append(f"{name.upper()}: {path} can't be read; allowed: a readable text file")
                continue
            if value:
                given.add(name, value, str(path))


def _from_environment(environ: Mapping[str, str], given: _Gathered) -> None:
    for variable, value in environ.items():
        name = variable.lower()
        known = name in Settings.model_fields and name not in (*PER_TYPE, *TABLES, "retry")
        if variable.isupper() and value and (known or type_of(name)[1]):
            given.add(name, value, "environment")


def exposed(host: str) -> str:
    """What is wrong with an address that others reach, where no key is."""
    return (
        f"HOST: {host!r} can be reached from other machines, and there is no API key;"
        " allowed: a loopback address such as 127.0.0.1, or any once API_KEY is set or `secondunit keys add` made a key"
    )


def _exposed(values: Mapping[str, Any]) -> Iterator[str]:
    """That fault, as far as it can be told: where there is a database, it may hold a key, and the start looks there."""
    host = values.get("host", "127.0.0.1")
    if isinstance(host, str) and not is_loopback(host) and not values.get("api_key") and not _database_is_there(values):
        yield exposed(host)


def _database_is_there(values: Mapping[str, Any]) -> bool:
    try:
        found = database_of(values["queue_url"]) if values.get("queue_url") else database_in(Path(values["data_dir"]))
        return found.path.exists()
    except (TypeError, ValueError):
        return False
    except PermissionError:  # it may be there, and who may look at it will
        return True


def _fault(detail: Any, given: _Gathered) -> Iterator[str]:
    origins, location = given.origins, [str(part) for part in detail["loc"]]
    info = Settings.model_fields[location[0]]
    name, value = location[0].upper(), detail["input"]
    allowed = info.description
    if location[0] in PER_TYPE and len(location) > 1:
        name = f"{name}_{location[1].upper()}"
    elif location[0] == "retry":
        name = ".".join(["types", *location[1:2], "retry", *location[2:]])
        allowed = _retry_allowed(location[2:]) or allowed
    elif location[0] in TABLES and len(location) > 1:
        name, value, allowed = ".".join(location), None, TABLES[location[0]].keys
    if location[0] == "remote_types" and len(location) > 2:
        allowed = _retry_allowed(location[3:]) if location[2] == "retry" else REMOTE_KEYS.get(location[-1], allowed)
    if location[0] == "schedule" and len(location) > 1:
        name, allowed = place(location, given.values["schedule"]), KEYS.get(location[-1], allowed)
    if detail["type"] == "extra_forbidden" and location[-1] in Settings.model_fields:
        allowed = MISPLACED
    if detail["type"] == "value_error":
        wrong = str(detail["msg"]).removeprefix("Value error, ")
    else:
        wrong = WORDS.get(detail["type"], "does not fit")
        if location[0] not in secret_names() and isinstance(value, str | int | float):
            wrong = f"{value!r} {wrong}"
    origin = origins.get(name.lower()) or origins.get(location[0], "")
    yield f"{name}: {wrong}; allowed: {allowed or 'text'} (given by {origin or 'default'})"


def _retry_allowed(path: Sequence[str]) -> str | None:
    known = RetryTable.model_fields
    if path and path[0] in known:
        return known[path[0]].description
    return ", ".join(known)


def _suggestion(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.7)
    return f"{near[0]}, perhaps" if near else ", ".join(sorted(known))


def _relative(settings: Settings) -> Iterator[str]:
    """The settings that name a folder by where the daemon is started, and which folder."""
    named = [("DATA_DIR", settings.data_dir), *(("MEDIA_ROOTS", root) for root in settings.media_roots)]
    named += [("SHARED_ROOTS", folder) for folder in settings.shared_roots]
    named += [("QUEUE_URL", settings.database.path)] if settings.queue_url and not settings.database.server else []
    yield from (f"{name}: {path}" for name, path in named if not path.is_absolute())


def _absolute(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "data_dir": settings.data_dir.absolute(),
            "media_roots": tuple(root.absolute() for root in settings.media_roots),
            "shared_roots": tuple(folder.absolute() for folder in settings.shared_roots),
        }
    )
