"""Fuzz a daemon for some minutes: `python -m tests.fuzz [--minutes N] [--seed N] [--quick]`.

A daemon of its own runs in a network that has loopback alone. Schemathesis reads its document and calls what is in it;
then hypothesis sends requests that no tool for APIs would: raw heads, ranges, ids of events, URLs, odd JSON, and bytes
that are hardly HTTP. Ends with 1 if an answer breaks the contract: a status, a problem or a body that the document does
not know, a 500, no answer at all, a daemon that is not well afterwards. `--quick` is what CI runs: little, and the same
each time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.e2e.conftest import READY_WITHIN, Daemon, starting
from tests.fuzz import strategies
from tests.fuzz.judge import Judge
from tests.fuzz.network import run_fenced
from tests.fuzz.wire import Call, exchange

KEY = "a-key-of-the-fuzzed-daemon-0123456789"
CONFIG = Path(__file__).with_name("schemathesis.toml")
FILE = "noise.webp"
SETTINGS = {
    "API_KEY": KEY,
    "RATE_LIMIT": "off",
    "GEMINI_API_KEY": "none",
    "GEMINI_BASE_URL": "http://127.0.0.1:9",
    "GEOCODER_URL": "http://127.0.0.1:9",
    "BACKEND_API_URL": "http://127.0.0.1:9",
    "ANALYZE_WAIT_SECONDS": "1",
    "DRAIN_SECONDS": "1",
}
ROUND = 100
Check = Callable[[Any], None]


class Fuzzer:
    """One daemon under fire; `breaches` is what it did wrong."""

    def __init__(self, daemon: Daemon, number: int) -> None:
        self.breaches: list[str] = []
        self.sent = 0
        self._daemon = daemon
        self._seed = number
        self._document = daemon.call("GET", "/api/openapi.json").body
        self._judge = Judge(self._document)
        self._job = self._finished()

    def raw(self, examples: int, until: float) -> None:
        """All strategies in turns, `examples` of each, again until that time."""
        for number in range(1_000_000):
            for name, strategy, check in self._strategies():
                if not self._holds(f"{name}, seed {self._seed + number}", strategy, check, examples, number):
                    return
            if time.monotonic() >= until:
                return

    def document(self, options: Sequence[str]) -> None:
        """What schemathesis finds; its own report goes to stdout."""
        argv = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"),
            *(f"http://127.0.0.1:{self._daemon.port}/api/openapi.json", "--header", f"X-API-Key: {KEY}"),
            *("--seed", str(self._seed), "--request-timeout", "60", "--no-color", *options),
        ]
        if subprocess.run(argv, check=False, cwd=self._daemon.data).returncode:
            self.breaches.append("schemathesis found the above")

    def health(self) -> None:
        """Whether the daemon is as well as before, and met no fault of its own."""
        answer = self._daemon.call("GET", "/health", X_API_Key=KEY)
        if answer.status != 200 or self._daemon.process.poll() is not None:
            self.breaches.append(f"the daemon is not well: {answer}")
        lines = [line for line in self._daemon.log.splitlines() if line.startswith("{")]
        failed = [line for line in lines if json.loads(line)["event"] in ("http.failed", "loop.failed", "task.failed")]
        self.breaches += [f"the log says: {line[:2000]}" for line in failed[:5]]

    def _strategies(self) -> Iterator[tuple[str, st.SearchStrategy[Any], Check]]:
        jobs = [self._job, "job_" + "a" * 26]
        examples = self._document["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["application/json"][
            "examples"
        ]
        payloads = {type: shown["value"]["payload"] for type, shown in examples.items()}
        calls = strategies.calls(self._document, jobs, KEY)
        bodies = strategies.bodies(payloads, KEY)
        file = f"/api/jobs/{self._job}/artifacts/{FILE}"
        yield "paths and headers", calls, self._answered
        yield "bodies", bodies, self._answered
        yield "URLs", strategies.addresses(KEY), self._answered
        yield "ranges", strategies.ranges(file, KEY), self._answered
        yield "event ids", strategies.streams(self._job, KEY), self._answered
        yield "bytes", strategies.mangled(calls | bodies), self._survived

    def _holds(self, name: str, strategy: st.SearchStrategy[Any], check: Check, examples: int, number: int) -> bool:
        wanted = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
            print_blob=False,
        )
        try:
            seed(self._seed + number)(wanted(given(strategy)(check)))()
        except AssertionError as found:
            self.breaches.append(f"{name}: {found}")
            return False
        return True

    def _answered(self, call: Call) -> None:
        self.sent += 1
        answer = exchange(self._daemon.port, call.encoded(), call.method)
        wrong = list(self._judge.breaches(call, answer))
        assert not wrong, f"{wrong}\n  {call}\n  {answer}"

    def _survived(self, sent: bytes) -> None:
        self.sent += 1
        method = sent.lstrip(b"\r\n")[:4].decode("latin-1")  # blank lines before it are skipped (RFC 9112, 2.2)
        answer = exchange(self._daemon.port, sent, "HEAD" if method == "HEAD" else "GET", whole=False)
        wrong = [] if answer is None else list(self._judge.faults(answer, method, to_people=b"/api/" not in sent))
        assert not wrong, f"{wrong}\n  {sent!r}\n  {answer}"

    def _finished(self) -> str:
        """A job that has ended and left a file."""
        media = self._daemon.data / "media"
        media.mkdir(exist_ok=True)
        from PIL import Image

        Image.effect_noise((64, 64), 50).save(media / "noise.png")
        job = {"type": "webp", "payload": {"inputPath": f"{media}/noise.png", "outputPath": f"{media}/{FILE}"}}
        answer = self._daemon.call("POST", "/api/jobs", job, X_API_Key=KEY)
        assert answer.status == 201, answer
        deadline = time.monotonic() + READY_WITHIN
        while (
            self._daemon.call("GET", f"/api/jobs/{answer.body['jobId']}", X_API_Key=KEY).body["status"] != "completed"
        ):
            assert time.monotonic() < deadline, self._daemon.log
            time.sleep(0.05)
        return str(answer.body["jobId"])


def main() -> None:
    """Fuzz, and say what was found."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("--minutes", type=float, default=5)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--quick", action="store_true")
    asked = options.parse_args()
    run_fenced("tests.fuzz", sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder, starting(Path(folder)) as start:
        print(f"seed {asked.seed}: the same requests with `make fuzz SEED={asked.seed}`")
        fuzzer = Fuzzer(start(**SETTINGS).ready(), asked.seed)
        if asked.quick:
            fuzzer.document(["--phases", "examples,fuzzing", "--max-examples", "1", "--generation-deterministic"])
            fuzzer.raw(20, until=0)
        else:
            seconds = asked.minutes * 60
            fuzzer.document(["--max-time", str(int(seconds * 0.6))])
            fuzzer.raw(ROUND, until=time.monotonic() + seconds * 0.4)
        fuzzer.health()
    for breach in fuzzer.breaches:
        print(f"BREACH: {breach}")
    print(f"{len(fuzzer.breaches)} breaches; {fuzzer.sent} raw requests, seed {asked.seed}")
    sys.exit(1 if fuzzer.breaches else 0)


if __name__ == "__main__":
    main()
