"""Names of Gemini's models: one model has one name."""

import pytest

from secondunit.handlers.tools.gemini.model_names import model_name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("tunedModels/mine", "tunedModels/mine"),
    ],
)
def test_a_name_with_and_without_its_collection_is_one(name: str, meant: str) -> None:
    assert model_name(name) == meant
