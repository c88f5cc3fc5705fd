"""The trust store of outgoing TLS."""

import subprocess
import sys

from secondunit.handlers.tools.network import certificates

IMPORTED = f"""
import asyncio, ssl
from {certificates.__name__} import import_client
import_client()
from aiohttp import ClientError, connector
from secondunit.handlers.tools.network.responses import bounded_session

contexts = [each for each in vars(connector).values() if isinstance(each, ssl.SSLContext)]

async def ask(url):
    async with bounded_session() as session:
        try:
            await session.get(url)
        except ClientError:
            pass
    print([bool(each.cert_store_stats()["x509"]) for each in contexts])

asyncio.run(ask("http://127.0.0.1:1/"))
asyncio.run(ask("https://127.0.0.1:1/"))
wanted = ssl.create_default_context().cert_store_stats()
assert wanted["x509"], "no trust store on this machine"
for each in contexts:
    print(each.verify_mode.name, each.cert_store_stats() == wanted)
"""


def test_certificates_are_read_by_the_first_request_over_tls_for_those_who_verify_and_nobody_else() -> None:
    told = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, timeout=60
    )  # fmt: skip
    seen = told.stdout.splitlines()
    assert seen == ["[False, False]", "[True, False]", "CERT_REQUIRED True", "CERT_NONE False"]
