"""Tables `[[schedule]]` of the file, as they must be; what their jobs must be is their types' affair."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer

from secondunit.daemon.cron import FIELDS, Cron, checked, zone_of

LONGEST_NAME = 100


def _name(value: str) -> str:
    """A schedule is named in URLs, and on terminals."""
    if not value.isprintable() or value != value.strip() or "/" in value or value in (".", ".."):
        raise ValueError(f"{value!r} can't be a name")
    return value


def _zone(value: str) -> str:
    zone_of(value)
    return value


class ScheduleTable(BaseModel):
    """One `[[schedule]]`; `job` is written as in POST /api/jobs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_name)] = Field(
        description=f"1 to {LONGEST_NAME} printable characters but /, no blank at its ends"
    )
    cron: Annotated[str, AfterValidator(checked)] = Field(description=FIELDS)
    timezone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="an IANA name such as Asia/Taipei")
    job: Mapping[str, Any] = Field(description="a table as in POST /api/jobs: type, payload, ...")
    missed: Literal["skip", "once", "all"] = Field("once", description="skip, once or all")
    overlap: Literal["skip", "queue", "cancel"] = Field("skip", description="skip, queue or cancel")
    pause_after_failures: int = Field(0, alias="pauseAfterFailures", ge=0, le=1000, description="0 (never) to 1000")

    @field_serializer("job")
    def _shown(self, job: Mapping[str, Any]) -> Any:
        """A payload may hold secrets, and which is known to its type alone."""
        return {key: "***" if key == "payload" else value for key, value in job.items()}

    def times(self) -> Cron:
        """When it comes."""
        return Cron(self.cron, zone_of(self.timezone))


KEYS = {field.alias or name: field.description for name, field in ScheduleTable.model_fields.items()}


def place(location: Sequence[str], tables: Any) -> str:
    """Where in the file a fault is: a table by its name, or by its number where it has none."""
    _, index, *rest = location
    table = tables[int(index)]
    name = table.get("name") if isinstance(table, Mapping) else None
    told = name if isinstance(name, str) and name and name.isprintable() else str(int(index) + 1)
    return ".".join(["schedule", told, *rest])


def twice(tables: Any) -> Iterator[str]:
    """A fault for each name that two tables have."""
    names = [table.get("name") for table in tables if isinstance(table, Mapping)] if isinstance(tables, list) else []
    for name in dict.fromkeys(name for name in names if isinstance(name, str) and names.count(name) > 1):
        yield f"schedule.{name}.name: {names.count(name)} schedules have it; allowed: a name of its own for each"
