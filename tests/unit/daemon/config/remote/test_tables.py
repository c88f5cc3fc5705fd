"""Tables [remote_types.NAME], and the schemas that payloads are held to."""

import json
import time
from pathlib import Path
from typing import Any, cast

import pytest

from secondunit.daemon.config.job_types import discover
from secondunit.daemon.config.loader import BadConfig, Config, load, shown
from secondunit.daemon.config.remote import payload_schemas, retry_tables, tables
from secondunit.daemon.config.remote.payload_schemas import PayloadSchema
from secondunit.daemon.config.sources import JobTypeSource
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import BadPayload
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.validation import validated

TOOLS = cast(Tools, object())
OCR = """
[remote_types.ocr]
concurrency = 4
timeout_seconds = 60
retry = { max_retries = 1, backoff = "fixed" }
schema = '{"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]}'
"""


def settings(folder: Path, text: str) -> Config:
    file = folder / "config.toml"
    file.write_text(text)
    return load({"SECONDUNIT_CONFIG": str(file)})


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        settings(folder, text)
    return list(caught.value.faults)


async def _run(*_: Any) -> None: ...


def spec_of(schema: dict[str, Any]) -> HandlerSpec:
    return HandlerSpec("ocr", PayloadSchema(schema).model("ocr"), None)  # type: ignore[arg-type]  # it never runs


def refused(schema: dict[str, Any], payload: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(BadPayload) as caught:
        validated(spec_of(schema), payload)
    return {fault.field: fault.message for fault in caught.value.errors}


def test_a_table_declares_a_type_that_workers_lease(tmp_path: Path) -> None:
    config = settings(tmp_path, OCR).settings
    [spec] = discover(TOOLS, config, []).specs
    assert (spec.type, spec.remote, spec.concurrency, spec.timeout.total_seconds()) == ("ocr", True, 4, 60)
    assert (spec.retry.max_retries, spec.retry.backoff) == (1, "fixed")
    assert shown(config)["REMOTE_TYPES"]["ocr"]["schema"]["required"] == ["page"]


def test_what_workers_lease_is_served_by_a_box_whatever_runs_there(tmp_path: Path) -> None:
    (file := tmp_path / "config.toml").write_text(OCR)
    config = load({"SECONDUNIT_CONFIG": str(file), "TYPES": "hls"}).settings
    hls = JobTypeSource("hls", lambda: lambda _: HandlerSpec("hls", PayloadSchema({}).model("hls"), _run))
    assert [spec.type for spec in discover(TOOLS, config, [hls]).specs] == ["hls", "ocr"]
    assert ", ".join(retry_tables.RetryTable.model_fields) == tables.RETRY


def test_a_schema_may_be_a_table_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"type": "object", "required": ["a"]}')
    text = f"[remote_types.a]\nschema = '{file}'\n[remote_types.b.schema]\ntype = 'object'\nrequired = ['a']\n"
    found = settings(tmp_path, text).settings.remote_types
    assert found["a"].payload_schema.content == found["b"].payload_schema.content


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("schema = 'schemas/a.json'", "no absolute path"),
        ("schema = '/nowhere/a.json'", "can't be read"),
        ("schema = '{\"type\": '", "not JSON"),
        ("schema = 7", "no JSON schema"),
        ("schema = {type = 'strin'}", "can be used"),
        ("schema = {type = 'array'}", "a payload is an object"),
        ("schema = {type = 2030-01-01}", "no JSON"),
        ("schema = {properties = {a = {pattern = '(?=x)y'}}}", "look-around"),
        ("schema = {properties = {a = {pattern = '(x)\\1'}}}", "look-around"),
        ("schema = {'$ref' = 'https://example.com/schema.json'}", "nothing is fetched"),
        ("schema = {}\nconcurrency = 0", "concurrency: is too small; allowed: leases at once, 1 to 1000"),
        ("schema = {}\nretry = {max = 1}", "not a key of this table; allowed: max_retries, backoff"),
        ("concurrency = 1", "schema: is missing"),
        ("schema = {}\nstall_seconds = 9", "remote_types.a.stall_seconds"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_by_its_key(tmp_path: Path, line: str, says: str) -> None:
    [fault] = faults(tmp_path, f"[remote_types.a]\n{line}\n")
    assert fault.startswith("remote_types.a.") and says in fault, fault


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    config = settings(tmp_path, OCR.replace(".ocr", ".webp")).settings
    webp = JobTypeSource("elsewhere", lambda: lambda _: HandlerSpec("webp", PayloadSchema({}).model("webp"), _run))
    with pytest.raises(BadConfig, match=r"remote_types\.webp: .* defines this job type; allowed: a name of its own"):
        discover(TOOLS, config, [webp])


def test_faults_name_their_fields_and_never_a_value() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "object", "properties": {"b": {"enum": [1, 2]}}, "required": ["b"]},
            "list": {"type": "array", "items": {"type": "string", "maxLength": 3}},
            "when": {"type": "string", "format": "date"},
        },
        "required": ["a"],
    }
    found = refused(schema, {"a": {"b": "s3cret"}, "list": ["ok", "s3cret"], "when": "s3cret", "s": 1})
    assert set(found) == {"payload.a.b", "payload.list.1", "payload.when", "payload.s"}
    assert "s3cret" not in json.dumps(found)
    assert found["payload.s"] == "unknown field; known are a, list, when"
    assert refused(schema, {"a": {"c": 1}}) == {"payload.a.b": "is required", "payload.a.c": "unknown field"}


def test_an_object_takes_what_its_schema_opens_it_for() -> None:
    validated(spec_of({"type": "object"}), {"any": 1})
    validated(spec_of({"properties": {"a": {}}, "additionalProperties": True}), {"any": 1})
    validated(spec_of({"properties": {"a": {}}, "allOf": [{"properties": {"b": {}}}]}), {"b": 1})
    assert "payload.b" in refused({"properties": {"a": {}}}, {"b": 1})


def test_a_pattern_takes_linear_time() -> None:
    schema = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    began = time.monotonic()
    assert "payload.a" in refused(schema, {"a": "a" * 100_000 + "b"})
    assert time.monotonic() - began < 5  # a search that went back would take longer than there is time


def test_of_very_many_faults_the_first_are_told() -> None:
    schema = {"properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    assert len(refused(schema, {"a": [1] * 5000})) == payload_schemas.MOST_TOLD


def test_a_schema_that_goes_round_in_circles_ends() -> None:
    assert validated(spec_of({"$ref": "#"}), {"a": {"b": {}}}).model_dump() == {"a": {"b": {}}}
    nested: dict[str, Any] = {}
    for _ in range(60):
        nested = {"a": nested}
    assert validated(spec_of({"properties": {"a": {"$ref": "#"}}}), nested).model_dump() == nested


def test_what_only_may_be_written_is_a_secret() -> None:
    schema = PayloadSchema({"properties": {"pin": {"type": "string", "writeOnly": True}, "page": {}}})
    assert schema.secrets == ["pin"]


def test_a_schema_that_is_tied_to_its_place_is_told_as_an_object() -> None:
    plain = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}}
    assert PayloadSchema({"$schema": "https://json-schema.org/draft/2020-12/schema", **plain}).told["$defs"]
    tied = {"properties": {"a": {"$ref": "#/definitions/a"}}, "definitions": {"a": {}}}
    assert set(PayloadSchema(tied).told) == {"type", "description"}
