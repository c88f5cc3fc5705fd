"""Settings reference: what each setting means, for a person, and an example where its default says nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from secondunit.daemon.config.settings import Settings, Tables, marked, secret_names


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a setting does, what it may be, its default (None: none, or it depends), and a value as TOML has it."""

    text: str
    allowed: str
    default: int | str | None
    example: str
    secret: bool


MEANINGS: Mapping[str, str] = {
    "processor_mode": "passive: serve the API; active: also poll the backend",
    "host": "address to listen on; one that is not loopback needs a key",
    "port": "port to listen on",
    "public_url": "where a proxy serves this daemon; a path, which it takes off, goes before links; doctor asks there",
    "allowed_hosts": "Host headers that are accepted, beside loopback's names and HOST, while there is no key",
    "trusted_proxies": "proxies whose X-Forwarded-For is believed",
    "data_dir": "database, uploads and scratch; the service's is /var/lib/secondunit",
    "queue_url": "the queue's database: a file, or on a PostgreSQL server (docs/boxes.md); default DATA_DIR/queue.db",
    "media_roots": "folders that jobs may read and write; default DATA_DIR/media",
    "shared_roots": "folders that are the same on every box (docs/boxes.md): jobs with inputs there run on any",
    "media_buckets": "S3 buckets that jobs may read and write",
    "api_key": "one key with every scope, beside those of `secondunit keys`",
    "backend_api_url": "the backend that active mode polls",
    "internal_api_key": "key for the backend, sent as X-API-Key",
    "poll_interval_ms": "how often the backend is polled, in milliseconds",
    "poll_limit": "how many of the backend's analyses are worked on at once",
    "backend_cooldown_minutes": "minutes before an analysis that failed here for good is taken on again",
    "gemini_api_key": "key for Gemini; without it job types that need one are refused",
    "gemini_model": "the model that is asked",
    "gemini_base_url": "another server that speaks Gemini's API",
    "gemini_daily_tokens": "budget of tokens a day (UTC); once it is used up, jobs wait",
    "geocoder_url": "a Nominatim-compatible server",
    "max_concurrent_jobs": "how many jobs run at once, over all types",
    "min_free_mb": "what stays free on a disk beside all that running jobs reserved; a job that does not fit waits",
    "max_load": "while the machine's load per core is above it, nothing more is started",
    "min_free_memory_mb": "while less of the machine's memory is available, nothing more is started; 0 never asks",
    "concurrency": "how many jobs of one type run at once",
    "global_concurrency": "how many jobs of one type run at once over all boxes of the queue",
    "timeout": "how long an attempt of a type may take, in seconds",
    "stall_seconds": "an attempt without any sign of life for so long is ended",
    "retry": "how a type's failed attempts are tried again",
    "lease_seconds": "how long a lease on a job lasts unless it is renewed, as it is at a third of it",
    "drain_seconds": "how long a stop waits for running jobs",
    "stuck_seconds": "an event loop that stands still for so long ends the process; 0 never",
    "max_queued_jobs": "how many jobs may wait; more are answered 503",
    "max_queued_per_key": "how many jobs of one key may wait",
    "retention_hours": "how long ended jobs are kept, and up to five minutes more",
    "retention_failed_hours": "how long failed jobs are kept",
    "cache_ttl_hours": "how long results of analyses are kept for the same video; 0 not at all",
    "max_upload_mb": "largest upload, in MiB",
    "max_download_mb": "largest download, in MiB",
    "settle_seconds": "an input that was seen to change must be still for so long before it is read again",
    "analyze_wait_seconds": "how long a synchronous analysis is waited for before it is answered 202",
    "rate_limit": "requests that a key, or else an address, may make",
    "max_connections": "how many connections may be open",
    "max_connections_per_address": "how many connections of one address may be open",
    "max_streams_per_key": "how many event streams of one key may be open",
    "cors_origins": "web pages' origins that may call the API",
    "allow_private_addresses": "private networks that jobs' URLs and callbacks may reach",
    "callback_secret": "signs callbacks; `whsec_...` is base64, anything else its bytes",
    "alert_url": "gets a message when something is wrong, and when it is over",
    "alert_failed_jobs": "more failed jobs in the backend's list are told",
    "alert_after_minutes": "what may pass by itself is told after so long",
    "aws_access_key_id": "for S3, as AWS's own variable",
    "aws_secret_access_key": "for S3, as AWS's own variable",
    "aws_session_token": "for S3, as AWS's own variable",
    "ffmpeg_path": "the ffmpeg to use; default: the one on PATH",
    "ffprobe_path": "the ffprobe to use; default: the one beside ffmpeg",
    "sentry_dsn": "where errors that nobody meant are reported; needs the extra sentry",
    "otel_exporter_otlp_endpoint": "where traces are sent, with /v1/traces behind it; needs the extra otel",
    "otel_exporter_otlp_traces_endpoint": "where traces are sent, as a whole URL, in place of the one above",
    "otel_exporter_otlp_headers": "what the collector wants to see, such as a key",
    "types": "the job types that this box runs, default all; in a file not beside a table [types.T.retry]",
    "sandbox": "what confines jobs' programs: what the machine has, no start with less than all, or nothing",
    "box": "this box's name; default the host's",
    "log_format": "text for people, JSON lines, or by whether stderr is a terminal",
    "log_level": "the least that is logged",
    "deploy": "projects that jobs of type deploy may touch",
    "remote_types": "job types that workers lease over HTTP (docs/remote-workers.md)",
    "schedule": "jobs that are submitted by a clock",
}
EXAMPLES: Mapping[str, str] = {
    "public_url": '"https://media.example.org"',
    "allowed_hosts": '["box.lan"]',
    "trusted_proxies": '["127.0.0.1/32"]',
    "data_dir": '"/var/lib/secondunit"',
    "queue_url": '"sqlite:////var/lib/secondunit/queue.db"',
    "media_roots": '["/srv/media"]',
    "shared_roots": '["/srv/media/shared"]',
    "media_buckets": '["bucket/prefix"]',
    "gemini_base_url": '"https://generativelanguage.googleapis.com"',
    "gemini_daily_tokens": "2000000",
    "cors_origins": '["https://example.org"]',
    "allow_private_addresses": '["192.168.0.0/16"]',
    "ffmpeg_path": '"/usr/bin/ffmpeg"',
    "ffprobe_path": '"/usr/bin/ffprobe"',
    "otel_exporter_otlp_endpoint": '"http://127.0.0.1:4318"',
    "otel_exporter_otlp_traces_endpoint": '"http://127.0.0.1:4318/v1/traces"',
    "otel_exporter_otlp_headers": '"Authorization=Bearer KEY"',
    "max_load": "1.5",
    "types": '["hls", "thumbnail"]',
    "box": '"box-1"',
    "api_key": '"32 random characters of your own"',
    "internal_api_key": '"what the backend knows"',
    "gemini_api_key": '"what Google gave you"',
    "callback_secret": '"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"',
    "alert_url": '"https://hooks.example.org/1"',
    "aws_access_key_id": '"what AWS gave you"',
    "aws_secret_access_key": '"what AWS gave you"',
    "aws_session_token": '"what AWS gave you"',
    "sentry_dsn": '"https://key@sentry.example.org/1"',
}


def meanings() -> Mapping[str, Meaning]:
    """Every setting, in the order of the schema."""
    return {name: _meaning(name) for name in Settings.model_fields}


def _meaning(name: str) -> Meaning:
    field, secret = Settings.model_fields[name], name in secret_names()
    told = None if field.default_factory or field.is_required() or secret else field.default
    default = None if told in (None, (), {}) else told if isinstance(told, int) else str(told)
    allowed = field.description or ("an http or https URL without query" if "_url" in name else "text")
    table = marked(Tables).get(name)
    if table and table.keys:
        allowed += f", each with {table.keys}"
    example = EXAMPLES.get(name) or ("" if default is None else json.dumps(default))
    return Meaning(MEANINGS.get(name, ""), allowed, default, example, secret)
