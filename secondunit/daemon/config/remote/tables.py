"""Tables `[remote_types.NAME]` of the file: job types that workers lease, each with its payloads' schema."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer

from secondunit.daemon.config.remote.payload_schemas import PayloadSchema
from secondunit.daemon.config.remote.retry_tables import RetryTable

LARGEST_SCHEMA = 1 << 20
RETRY = ", ".join(RetryTable.model_fields)


def _schema(value: Any) -> Any:
    """The schema as it is written: a table, JSON text, or the path of a JSON file."""
    if isinstance(value, PayloadSchema):
        return value
    if isinstance(value, str):
        value = _parsed(value if value.lstrip().startswith("{") else _read(Path(value)))
    if not isinstance(value, Mapping):
        raise ValueError("it is no JSON schema: an object, as a table, as JSON text or in a file")  # noqa: TRY004  pydantic takes this one
    return PayloadSchema(dict(value))


def _read(path: Path) -> str:
    if not path.is_absolute():
        raise ValueError(f"{path} is no absolute path of a JSON file, and no JSON object")
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_SCHEMA + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} can't be read as a JSON file ({error})") from None
    if len(text) > LARGEST_SCHEMA:
        raise ValueError(f"{path} is larger than {LARGEST_SCHEMA} characters")
    return text


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None


class RemoteTypeTable(BaseModel):
    """One `[remote_types.NAME]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    payload_schema: Annotated[PayloadSchema, BeforeValidator(_schema)] = Field(
        alias="schema", description="a JSON schema: a table, JSON text, or the absolute path of a JSON file"
    )
    concurrency: int = Field(10, ge=1, le=1000, description="leases at once, 1 to 1000")
    timeout_seconds: int = Field(3600, ge=1, le=604_800, description="seconds, 1 to 604800")
    retry: RetryTable = Field(
        RetryTable.model_validate({}), strict=False, description=", ".join(RetryTable.model_fields)
    )

    @model_serializer
    def _shown(self) -> dict[str, Any]:
        rest = {"timeout_seconds": self.timeout_seconds, "retry": self.retry.model_dump()}
        return {"schema": self.payload_schema.content, "concurrency": self.concurrency, **rest}


def digest(table: RemoteTypeTable) -> str:
    """What tells two tables apart that say something different; how they are written does not count."""
    return hashlib.sha256(json.dumps(table.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]


TABLE = ", ".join(field.alias or name for name, field in RemoteTypeTable.model_fields.items())
KEYS = {
    **{field.alias or name: field.description for name, field in RemoteTypeTable.model_fields.items()},
    **{name: field.description for name, field in RetryTable.model_fields.items()},
    "[key]": "a name of a-z, 0-9, _ and -, which begins with a letter",
}
