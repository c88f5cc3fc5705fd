"""Payload schema: what the payload models of all job types share, and field types that several use."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

# camelCase in JSON; no conversion, no unknown field. Built at its first use, not while a daemon starts.
PAYLOAD = ConfigDict(alias_generator=to_camel, strict=True, extra="forbid", frozen=True, defer_build=True)


def payload_like(**example: Any) -> ConfigDict:
    """PAYLOAD, with an example that callers are shown."""
    return PAYLOAD | ConfigDict(json_schema_extra={"examples": [example]})


FILE = "a path below MEDIA_ROOTS, or s3://bucket/key"  # what a description says of a field that is one

# BCP 47 as far as anybody writes it: a language, and parts for script, region or variant.
LanguageTag = Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$")]
