"""What went wrong with a request, as a sentence for people: no class name, no tuple, no library's words."""

import errno
import re
import socket
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import InvalidURL, RequestInfo, ServerDisconnectedError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from secondunit.handlers.tools.network.connection_errors import sentence_of

KEY: Any = SimpleNamespace(host="example.com", port=443, ssl=True, is_ssl=True)
ASKED = RequestInfo(URL("https://example.com/?s3cr3t"), "POST", CIMultiDictProxy(CIMultiDict()))
UNSAID = re.compile(r"Error|\[|\(|Connect call|ssl:|s3cr3t|None")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TimeoutError(), "the receiver gave no answer in time"),
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)")),
            "example.com:443 refused the connection",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.EADDRNOTAVAIL, "No address")),
            "example.com:443 can't be reached: No address",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name or service not known")),
            "the name example.com can't be resolved",
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ValueError("x")),
            "no safe connection to example.com: its certificate or TLS is not accepted",
        ),
        (ServerDisconnectedError(), "the receiver closed the connection without an answer"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "the receiver broke the connection off"),
        (
            aiohttp.ClientResponseError(ASKED, (), status=400, message="Bad status line 'x'"),
            "the receiver answered something that is no whole HTTP answer",
        ),
        (InvalidURL("https://h/?s3cr3t"), "the address of the receiver can't be used"),
        (ValueError("https://h/?s3cr3t"), "the receiver can't be asked: https://h/?***"),
        (aiohttp.ClientError(), "the receiver can't be asked: ClientError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_said_in_a_sentence(error: BaseException, sentence: str) -> None:
    assert sentence_of(error) == sentence
    assert type(error) is aiohttp.ClientError or not UNSAID.search(sentence)
