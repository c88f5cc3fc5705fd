"""The trust store of outgoing TLS."""

import subprocess
import sys

from secondunit.handlers.tools.network import certificates

IMPORTED = f"""
import ssl
from {certificates.__name__} import import_client
read = import_client()
from aiohttp import TCPConnector, connector
contexts = [each for each in vars(connector).values() if isinstance(each, ssl.SSLContext)]
print([bool(each.cert_store_stats()["x509"]) for each in contexts])
read()
wanted = ssl.create_default_context().cert_store_stats()
assert wanted["x509"], "no trust store on this machine"
for each in contexts:
    print(each.verify_mode.name, each.cert_store_stats() == wanted)
"""


def test_what_verifies_has_the_certificates_that_it_would_have_had_and_nothing_else_any() -> None:
    told = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, timeout=60
    )  # fmt: skip
    assert told.stdout.splitlines() == ["[False, False]", "CERT_REQUIRED True", "CERT_NONE False"]
