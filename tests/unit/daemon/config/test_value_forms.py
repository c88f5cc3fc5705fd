"""What settings' values may look like, whatever the setting."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from secondunit.daemon.config.value_forms import Bucket, HttpUrl, Networks, Origin, Rate, SecretUrl, TypeName, Words

RIGHT: list[tuple[Any, str, Any]] = [
    (Words, "a, b ,,c", ("a", "b", "c")),
    (HttpUrl, "https://example.com:8443/base/", "https://example.com:8443/base"),
    (TypeName, "hls", "hls"),
    (Origin, "chrome-extension://abc", "chrome-extension://abc"),
    (Rate, "600/minute", "600/minute"),
    (Rate, "off", "off"),
    (Bucket, "media/films", "media/films"),
]
WRONG: list[tuple[Any, str]] = [
    (HttpUrl, "ftp://example.com"),
    (HttpUrl, "https://example.com:0"),
    (HttpUrl, "https://example.com:port"),
    (HttpUrl, "https://example.com/?key=1"),
    (SecretUrl, "mailto:me"),
    (Networks, "10.0.0.0/8, nowhere"),
    (TypeName, "../hls"),
    (Origin, "https://*.example.com"),
    (Rate, "0/minute"),
    (Rate, "600/week"),
    (Bucket, "Not A Bucket"),
]


@pytest.mark.parametrize(("form", "said", "meant"), RIGHT)
def test_a_value_is_read(form: Any, said: str, meant: Any) -> None:
    assert TypeAdapter(form).validate_python(said) == meant


@pytest.mark.parametrize(("form", "said"), WRONG)
def test_a_value_of_another_form_is_refused(form: Any, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(form).validate_python(said)
    assert refused.value.errors()


def test_a_secret_url_is_shown_to_nobody() -> None:
    assert "hook" not in repr(TypeAdapter(SecretUrl).validate_python("https://example.com/hook"))
