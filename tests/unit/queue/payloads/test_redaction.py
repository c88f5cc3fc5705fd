"""What of a URL may be told."""

import json

import pytest

from secondunit.queue.payloads.redaction import redacted, without


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no address at all", "no address at all"),
        ("https://host/a/b.mp4", "https://host/a/b.mp4"),
        ("https://user:pw@host:8080/x", "https://***@host:8080/x"),
        ("https://user@host", "https://***@host"),
        ("https://a@b:pw@host/x@y", "https://***@host/x@y"),
        ("https://host/x?X-Amz-Signature=s3cr3t&b=2", "https://host/x?X-Amz-Signature=***&b=***"),
        ("https://host/x?s3cr3t", "https://host/x?***"),
        ("https://host/x#s3cr3t", "https://host/x#***"),
        ("https://host/x?a=b#c?d", "https://host/x?a=***#***"),
        ("(https://host/x?a=b): gone.", "(https://host/x?a=***): gone."),
        ("https://host/x?a=s3cr3t: Connection refused", "https://host/x?a=***: Connection refused"),
        ("s3://key:pw@bucket/x and ftp://u:p@h/y?z=1", "s3://***@bucket/x and ftp://***@h/y?z=***"),
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=4", "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=***"),
        ("https://host/x?", "https://host/x?"),
        ("://?a=b", "://?a=b"),
    ],
)
def test_a_url_is_told_without_its_secrets(text: str, told: str) -> None:
    assert redacted(text) == told
    assert redacted(told) == told


def test_json_stays_json() -> None:
    event = {"message": 'a "https://u:p@h/x?a=b\nc" \\https://h?d', "url": "https://h/?k=v"}
    assert json.loads(redacted(json.dumps(event)))["url"] == "https://h/?k=***"


def test_a_secret_is_struck_out_whole_though_it_holds_another() -> None:
    assert without("open sesame, sesame; nothing else", ["", "sesame", "open sesame"]) == "***, ***; nothing else"
