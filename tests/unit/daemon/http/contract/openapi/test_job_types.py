"""Every job type that is served stands in the document, those of others too, whatever their models say."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from structlog.testing import capture_logs

from secondunit.daemon.http.contract.openapi.document import document
from secondunit.daemon.http.contract.openapi.job_types import type_schemas
from secondunit.daemon.http.routes import ROUTES
from secondunit.queue.handler import HandlerSpec, JobContext


class Crop(BaseModel):
    """A part of a picture."""

    left: int = Field(default=0, ge=0)


class Payload(BaseModel):
    """What another distribution calls its payload."""

    model_config = ConfigDict(extra="allow")

    path: str = Field(examples=["/srv/a.png"])
    crop: Crop | None = None


class Broken(BaseModel):
    """One that can't say what it is."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> Any:
        raise SystemExit("not telling")


class Opaque(BaseModel):
    """One that needs what nobody shows."""

    secret: str


async def run(ctx: JobContext, payload: Any) -> None:
    raise NotImplementedError


def schemas(*types: tuple[str, type[BaseModel]]) -> Any:
    made: Any = document(ROUTES, "1", [HandlerSpec(type, model, run) for type, model in types])
    return json.loads(json.dumps(made))["components"]["schemas"]


def test_types_of_others_are_submitted_by_their_own_payloads_though_all_have_one_name() -> None:
    found = schemas(("crop", Payload), ("turn-left", Payload))
    assert found["SubmitAsk"]["discriminator"]["mapping"] == {
        "crop": "#/components/schemas/SubmitCrop",
        "turn-left": "#/components/schemas/SubmitTurnLeft",
    }
    assert found["SubmitCrop"]["examples"] == [{"type": "crop", "payload": {"path": "/srv/a.png"}}]
    crop = found["CropPayload"]["properties"]["crop"]["anyOf"][0]
    assert crop == {"$ref": "#/components/schemas/CropPayload.Crop"}
    assert found["CropPayload.Crop"]["properties"]["left"]["description"] == "Default: 0."


def test_each_field_of_a_payload_takes_a_reference_and_keeps_what_is_said_of_it() -> None:
    found = schemas(("crop", Payload))
    other = {"$ref": "#/components/schemas/ParentResult"}
    fields = found["CropPayload"]["properties"]
    assert fields["path"] == {"examples": ["/srv/a.png"], "anyOf": [{"type": "string"}, other]}
    assert fields["crop"]["anyOf"][-1] == other and len(fields["crop"]["anyOf"]) == 3
    assert found["CropPayload.Crop"]["properties"]["left"].keys() == {"type", "minimum", "description"}
    assert found["ParentResult"]["required"] == ["$from"]
    assert "ParentResult" not in schemas()


def test_unknown_fields_are_refused_whatever_the_model_says() -> None:
    found = schemas(("crop", Payload))
    assert found["CropPayload"]["additionalProperties"] is False
    assert found["CropPayload.Crop"]["additionalProperties"] is False


def test_types_whose_names_look_alike_have_components_of_their_own() -> None:
    specs = [HandlerSpec(type, Payload, run) for type in ("a-b", "a.b", "aB", "ab:c")]
    assert [one.word for one in type_schemas(specs)] == ["AB", "AB2", "AB22", "AbC"]


def test_a_type_that_can_not_tell_its_schema_takes_any_payload_and_the_others_stand() -> None:
    with capture_logs() as logs:
        found = schemas(("broken", Broken), ("crop", Payload))
    assert found["BrokenPayload"] == {"type": "object"} and "CropPayload" in found
    assert [line["type"] for line in logs] == ["broken"]


def test_the_types_that_can_be_held_are_those_that_are_served() -> None:
    made: Any = document(ROUTES, "1", [HandlerSpec("crop", Payload, run)])
    [parameter] = made["paths"]["/api/types/{type}/pause"]["post"]["parameters"]
    assert parameter["schema"] == {"type": "string", "enum": ["crop"]}


def test_a_type_whose_payload_nobody_shows_has_no_example() -> None:
    assert "examples" not in schemas(("opaque", Opaque))["SubmitOpaque"]


@pytest.mark.parametrize("types", [[], [("crop", Payload)]])
def test_a_batch_holds_what_is_submitted_alone_with_its_names(types: list[tuple[str, type[BaseModel]]]) -> None:
    found = schemas(*types)
    assert found["BatchAsk"]["properties"]["jobs"]["items"] == {"$ref": "#/components/schemas/BatchJobAsk"}
    assert ("oneOf" in found["SubmitAsk"]) == ("oneOf" in found["BatchJobAsk"]) == bool(types)
