"""OTLP exporter: how its variables are read, and what the traces say of who sends them."""

import pytest

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.telemetry.otlp import headers_of
from secondunit.daemon.wiring.telemetry import endpoint_of

BASE = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        ("nonsense", {}),
        ("a=b", {"a": "b"}),
        (" Authorization = Basic eA== , x=1,", {"Authorization": "Basic eA==", "x": "1"}),
    ],
)
def test_headers_are_pairs_apart_by_commas(text: str, headers: dict[str, str]) -> None:
    assert headers_of(text) == headers


@pytest.mark.parametrize(
    ("settings", "environ", "endpoint"),
    [
        ({}, {}, None),
        ({"otel_exporter_otlp_endpoint": BASE}, {}, f"{BASE}/v1/traces"),
        ({"otel_exporter_otlp_endpoint": f"{BASE}/otlp/"}, {}, f"{BASE}/otlp/v1/traces"),
        ({"otel_exporter_otlp_traces_endpoint": f"{BASE}/x"}, {}, f"{BASE}/x"),
        ({"otel_exporter_otlp_endpoint": BASE}, {"OTEL_SDK_DISABLED": "TRUE"}, None),
        ({"otel_exporter_otlp_endpoint": BASE}, {"OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_traces_go_where_the_standard_variables_say(
    settings: dict[str, str], environ: dict[str, str], endpoint: str | None
) -> None:
    assert endpoint_of(Settings.model_validate(settings), environ) == endpoint
