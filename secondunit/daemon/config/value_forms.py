"""Forms of settings' values: words, networks, URLs, names of types, rates and buckets."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from secondunit.handlers.tools.storage.s3.urls import entry_of

RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)")
TYPE_NAME, ORIGIN = re.compile(r"[a-z][a-z0-9_-]{0,63}"), re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*]+")


def separated(by: str) -> BeforeValidator:
    """Words of a variable, apart by this; a file has them as a list."""

    def split(value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(by) if part.strip())
        return value

    return BeforeValidator(split)


def _matching(matches: Callable[[str], object]) -> AfterValidator:
    def check(value: str) -> str:
        if not matches(value):
            raise ValueError(f"{value!r} has another form")
        return value

    return AfterValidator(check)


def _addresses(url: SplitResult) -> bool:
    """Whether it names a server: a port that is no number would show only when somebody connects."""
    try:
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if not _addresses(parts) or parts.query or parts.fragment:
        raise ValueError("it is not an http or https URL without query")  # what it is may hold a password or a key
    return value.rstrip("/")


def _secret_url(value: SecretStr) -> SecretStr:
    if not _addresses(urlsplit(value.get_secret_value())):
        raise ValueError("it is not an http or https URL")
    return value


def _bucket(value: str) -> str:
    entry_of(value)
    return value


def _is_box_name(value: str) -> bool:
    """Whether it can be shown, and be told from the holder of a remote worker's lease, which begins with a word."""
    return value.isprintable() and value == value.strip() and not value.startswith("remote ")


Words = Annotated[tuple[str, ...], separated(",")]
Networks = Annotated[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], separated(",")]
HttpUrl = Annotated[str, AfterValidator(_http_url), Field(description="an http or https URL without query")]
TypeName = Annotated[str, _matching(TYPE_NAME.fullmatch)]
BoxName = Annotated[str, _matching(lambda value: 0 < len(value) <= 255 and _is_box_name(value))]
Origin = Annotated[str, _matching(ORIGIN.fullmatch)]
Bucket = Annotated[str, AfterValidator(_bucket)]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_url)]
Rate = Annotated[str, _matching(lambda value: value == "off" or RATE.fullmatch(value))]
