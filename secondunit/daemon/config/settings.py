"""Settings schema: every setting with its default and what it allows, frozen once read; `loader` finds the values."""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import hexdigits
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from secondunit.daemon.config import signing_keys
from secondunit.daemon.config.remote.retry_tables import RetryTable
from secondunit.daemon.config.remote.tables import TABLE, RemoteTypeTable
from secondunit.daemon.config.schedules import KEYS, ScheduleTable
from secondunit.daemon.config.url_passwords import passwords_in
from secondunit.daemon.config.value_forms import (
    BoxName,
    Bucket,
    HttpUrl,
    Networks,
    Origin,
    Rate,
    SecretUrl,
    TypeName,
    Words,
    separated,
)
from secondunit.handlers.tools.deployment.projects import Project, Projects
from secondunit.queue.value import Value


def _queue_url(value: str) -> str:
    database_of(value)
    return value


M = TypeVar("M")
PER_TYPE = ("concurrency", "timeout", "global_concurrency")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Database(Value, frozen=True):
    """What QUEUE_URL says: a file, or a PostgreSQL `server`, beside which `path` only names this daemon's lock."""

    path: Path
    synchronous: Literal["full", "normal"] = "full"
    server: str | None = None

    def __str__(self) -> str:
        """Where it lies, for people."""
        if self.server is None:
            return str(self.path)
        parts = urlsplit(self.server)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def shared(self) -> bool:
        """Whether other daemons may have it as well."""
        return self.server is not None

    @property
    def url(self) -> str:
        """The QUEUE_URL that means it."""
        return self.server or f"sqlite:///{self.path}"


class Tables(Value, frozen=True):
    """Marks a setting that only the file can hold, as tables with these keys; no value of theirs is ever shown."""

    keys: str = ""


class Extra(Value, frozen=True):
    """Marks a setting that an extra of the distribution reads, by its `module`; without it `so` is what comes of it."""

    name: str
    module: str
    so: str


PLAIN_URL = "an http or https URL without query"
TRACES = Extra("otel", "opentelemetry.exporter.otlp.proto.http", "no traces are sent")


def _count(default: int | None, low: int, high: int, unit: str = "") -> Any:
    return Field(default, ge=low, le=high, description=f"{unit}{', ' if unit else ''}{low} to {high}")


class Settings(BaseModel):
    """One field for each variable, its name in lower case; a field's description says what is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    processor_mode: Literal["passive", "active"] = Field("passive", description="passive or active")
    host: str = Field("127.0.0.1", min_length=1, description="an address or host name")
    port: int = _count(8000, 0, 65535, "a port, 0 for any free one")
    public_url: HttpUrl | None = None
    allowed_hosts: Words = Field((), description="host names, comma-separated")
    trusted_proxies: Networks = Field((), description="addresses or networks, comma-separated")
    data_dir: Path = Field(Path("data"), description="a folder")
    queue_url: Annotated[str, AfterValidator(_queue_url)] | None = Field(
        None, description="sqlite:///PATH, perhaps with ?synchronous=full or normal; postgresql://USER@HOST/DATABASE"
    )
    media_roots: Annotated[tuple[Path, ...], separated(":")] = Field((), description="folders, colon-separated")
    shared_roots: Annotated[tuple[Path, ...], separated(":")] = Field(
        (), description="folders of MEDIA_ROOTS, or in them, colon-separated"
    )
    media_buckets: Annotated[tuple[Bucket, ...], separated(",")] = Field(
        (), description="bucket/prefix, comma-separated"
    )
    api_key: SecretStr | None = None

    backend_api_url: HttpUrl = "http://localhost:3000"
    internal_api_key: SecretStr | None = None
    poll_interval_ms: int = _count(60_000, 100, 86_400_000, "milliseconds")
    poll_limit: int = _count(3, 1, 100)
    backend_cooldown_minutes: int = _count(60, 0, 525_600, "minutes")

    gemini_api_key: SecretStr | None = None
    gemini_model: str = Field("gemini-3.8-flash", min_length=1, description="a model's name")
    gemini_base_url: HttpUrl | None = None
    gemini_daily_tokens: int | None = _count(None, 1, 10**12)
    geocoder_url: HttpUrl = "https://nominatim.openstreetmap.org"

    max_concurrent_jobs: int = _count(5, 1, 1000)
    min_free_mb: int = _count(1024, 0, 10**9, "MiB")
    max_load: float | None = Field(None, gt=0, le=1000, description="load per core, above 0 to 1000")
    min_free_memory_mb: int = _count(256, 0, 10**9, "MiB")
    concurrency: Mapping[TypeName, Annotated[int, _count(None, 1, 1000)]] = Field({}, description="1 to 1000")
    global_concurrency: Mapping[TypeName, Annotated[int, _count(None, 1, 10_000)]] = Field({}, description="1 to 10000")
    timeout: Mapping[TypeName, Annotated[int, _count(None, 1, 604_800)]] = Field({}, description="seconds, 1 to 604800")
    stall_seconds: int = _count(300, 1, 86_400, "seconds")
    retry: Mapping[TypeName, RetryTable] = Field({}, description="a table [types.T.retry]")
    lease_seconds: int = _count(30, 1, 3600, "seconds")
    drain_seconds: int = _count(300, 0, 86_400, "seconds")
    stuck_seconds: int = _count(20, 0, 3600, "seconds, 0 for never")
    max_queued_jobs: int = _count(1_000_000, 1, 10**9)
    max_queued_per_key: int = _count(100_000, 1, 10**9)

    retention_hours: int = _count(24, 1, 87_600, "hours")
    retention_failed_hours: int = _count(720, 1, 87_600, "hours")
    cache_ttl_hours: int = _count(168, 0, 87_600, "hours")
    max_upload_mb: int = _count(2048, 1, 10**6, "MiB")
    max_download_mb: int = _count(8192, 1, 10**6, "MiB")
    settle_seconds: int = _count(5, 1, 3600, "seconds")
    analyze_wait_seconds: int = _count(240, 0, 86_400, "seconds")
    rate_limit: Rate = Field("600/minute", description="N/second, N/minute, N/hour, N/day, or off")
    max_connections: int = _count(4096, 8, 10**6)
    max_connections_per_address: int = _count(256, 1, 10**6)
    max_streams_per_key: int = _count(1024, 1, 10**6)
    cors_origins: Annotated[tuple[Origin, ...], separated(",")] = Field(
        (), description="origins such as https://example.com or chrome-extension://ID, comma-separated"
    )
    allow_private_addresses: Networks = Field((), description="networks such as 192.168.0.0/16, comma-separated")

    callback_secret: Annotated[SecretStr, AfterValidator(signing_keys.checked)] | None = Field(
        None, description=signing_keys.ALLOWED
    )
    alert_url: SecretUrl | None = Field(None, description="an http or https URL")
    alert_failed_jobs: int = _count(10, 1, 10**9)
    alert_after_minutes: int = _count(15, 0, 525_600, "minutes")

    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    ffmpeg_path: Path | None = Field(None, description="a program")
    ffprobe_path: Path | None = Field(None, description="a program")
    sentry_dsn: Annotated[SecretUrl | None, Extra("sentry", "sentry_sdk", "errors go to the log alone")] = Field(
        None, description="https://KEY@HOST/PROJECT"
    )
    otel_exporter_otlp_endpoint: Annotated[HttpUrl | None, TRACES] = Field(None, description=PLAIN_URL)
    otel_exporter_otlp_traces_endpoint: Annotated[HttpUrl | None, TRACES] = Field(None, description=PLAIN_URL)
    otel_exporter_otlp_headers: SecretStr | None = Field(None, description="name=value, comma-separated")
    types: Annotated[tuple[TypeName, ...], separated(",")] = Field((), description="job types, comma-separated")
    sandbox: Literal["auto", "require", "off"] = Field("auto", description="auto, require or off")
    box: BoxName = Field(default_factory=socket.gethostname, description="a name of 1 to 255 printable characters")
    log_format: Literal["auto", "console", "json"] = Field("auto", description="console or json")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lambda v: str(v).lower())] = (
        Field("info", description="debug, info, warning or error")
    )
    deploy: Annotated[Projects, Tables(", ".join(Project.model_fields))] = Field({}, description="tables [deploy.ID]")
    remote_types: Annotated[Mapping[TypeName, RemoteTypeTable], Tables(TABLE)] = Field(
        {}, description="tables [remote_types.NAME]"
    )
    schedule: Annotated[tuple[ScheduleTable, ...], Tables(", ".join(KEYS))] = Field(
        (), description="tables [[schedule]]"
    )

    @property
    def database(self) -> Database:
        """Where the queue's store lies and how it is synchronised."""
        found = database_of(self.queue_url) if self.queue_url else database_in(self.data_dir)
        return Database(self.data_dir / found.path, server=found.server) if found.server else found

    @property
    def control(self) -> Path:
        """The socket on which the owner of DATA_DIR may do everything."""
        return self.data_dir / "control.sock"

    @property
    def uploads(self) -> Path:
        """Where videos lie that callers sent."""
        return self.data_dir / "uploads"

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that payloads may read and write."""
        return self.media_roots or (self.media,)

    @property
    def media(self) -> Path:
        """The one folder of DATA_DIR that payloads may read and write, if it is a root."""
        return self.data_dir / "media"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach HOST."""
        return is_loopback(self.host)

    def aws(self) -> Mapping[str, str]:
        """The credentials for S3 by their variables' names."""
        given = (self.aws_access_key_id, self.aws_secret_access_key, self.aws_session_token)
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return {name: value.get_secret_value() for name, value in zip(names, given, strict=True) if value}

    def secrets(self) -> frozenset[str]:
        """Every secret's value, for those who must not print them."""
        values = (getattr(self, name) for name in type(self).model_fields)
        found = [v.get_secret_value() for v in values if isinstance(v, SecretStr)]
        found += [secret for project in self.deploy.values() for secret in project.secrets()]
        return frozenset(found) | passwords_in(self.queue_url or "")


def type_of(name: str) -> tuple[str, str]:
    """The setting and the job type that a name like `concurrency_hls` means; no type, if it is none of a type."""
    for setting in PER_TYPE:
        if name.startswith(f"{setting}_"):
            return setting, name.removeprefix(f"{setting}_")
    return name, ""


def marked(kind: type[M]) -> Mapping[str, M]:
    """The settings with a mark of this kind."""
    return {name: mark for name, of in Settings.model_fields.items() for mark in of.metadata if isinstance(mark, kind)}


def database_in(folder: Path) -> Database:
    """The database of a DATA_DIR."""
    return Database(folder / "queue.db")


def secret_names() -> Sequence[str]:
    """The settings whose values are never shown, and that may be files in $CREDENTIALS_DIRECTORY."""
    return [name for name, info in Settings.model_fields.items() if "SecretStr" in str(info.annotation)]


def database_of(url: str) -> Database:
    """What a QUEUE_URL means; ValueError says what is wrong with it."""
    parts = urlsplit(url)
    if parts.scheme in ("postgresql", "postgres"):
        if _odd_percent(url):
            raise ValueError("a % in it is followed by no two digits of hex; in a password, write % itself as %25")
        if _odd_port(parts.netloc):
            raise ValueError("its port is no number; in a password, write / : @ # ? as %2F %3A %40 %23 %3F")
        if len(parts.path) < 2 or "/" in parts.path[1:]:
            raise ValueError("it does not name a database: postgresql://USER@HOST/DATABASE")
        return Database(Path("queue"), server=url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "full")
    if parts.scheme != "sqlite" or parts.netloc or len(parts.path) < 2 or parts.path.endswith("/"):
        raise ValueError("it names neither a SQLite nor a PostgreSQL database")
    if options or synchronous not in ("full", "normal"):
        raise ValueError(f"?{parts.query} is not an option of it")
    return Database(Path(parts.path[1:]), "normal" if synchronous == "normal" else "full")


def _odd_port(netloc: str) -> bool:
    hosts = netloc.rpartition("@")[2].split(",")
    ports = (host.rpartition("]")[2].partition(":")[2] for host in hosts)
    return any(port and not port.isdecimal() for port in ports)


def _odd_percent(url: str) -> bool:
    return any(len(part) < 2 or {*part[:2]} - {*hexdigits} for part in url.split("%")[1:])
