// What a caller gives wrongly, and what a daemon answers early: told at once, and nothing is left that holds the program.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Client, Unavailable } from "../src/index.js";

const folder = mkdtempSync(join(tmpdir(), "client-"));
const nobody = new Client("http://127.0.0.1:9"); // its patience is a minute

/** A server that answers so, however the request goes on. */
async function answering(/** @type {import("node:http").RequestListener} */ answer) {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}`, end: () => (server.closeAllConnections(), server.close()) };
}

const wrong = {
  "a file that is not there": [() => nobody.analyzeFile(join(folder, "none.mp4")), { code: "ENOENT" }],
  "a folder": [() => nobody.analyzeFile(folder), { name: "TypeError" }],
  "an artefact that is not there": [() => nobody.leases.artifact("lt", "a", join(folder, "none")), { code: "ENOENT" }],
  "a payload that is no JSON": [() => nobody.submit({ type: "webp", payload: { width: 1n } }), { name: "TypeError" }],
  "a key with a line break": [() => new Client("http://127.0.0.1:9", { apiKey: "a\nb" }).list(), { name: "TypeError" }],
};
for (const [what, [call, error]] of Object.entries(wrong)) {
  test(`${what} is told at once, as what it is`, { timeout: 5000 }, async () => {
    await assert.rejects(call, error);
  });
}

test("an address without http:// makes no client", () => {
  for (const url of ["127.0.0.1:8000", "localhost:8000", ""]) assert.throws(() => new Client(url), TypeError);
});

test("Retry-After may be a date, held to the clock of who says so", async () => {
  const { url, end } = await answering((_, response) => {
    const headers = { date: "Sun, 29 Nov 2026 20:00:00 GMT", "retry-after": "Sun, 29 Nov 2026 20:00:07 GMT" };
    response.writeHead(503, headers).end();
  });
  try {
    await assert.rejects(new Client(url, { patienceMs: 5000 }).list(), (error) => error instanceof Unavailable && error.retryAfterMs === 7000);
  } finally {
    end();
  }
});

test("what fails on this side while a file is sent is told at once, as what it is", { timeout: 5000 }, async () => {
  const film = join(folder, "told.mp4");
  writeFileSync(film, Buffer.alloc(2 ** 20));
  const { url, end } = await answering((request) => request.resume());
  const onProgress = () => { throw new RangeError("of the caller"); };
  try {
    await assert.rejects(new Client(url).analyzeFile(film, { onProgress }), (error) => error instanceof RangeError);
  } finally {
    end();
  }
});

test("a program ends when it is done, also after an upload that was refused before it was sent", async () => {
  const film = join(folder, "film.mp4");
  writeFileSync(film, Buffer.alloc(2 ** 20));
  const { url, end } = await answering((_, response) => response.writeHead(422, { "content-type": "application/json" }).end("{}"));
  const program = `
    import { Client } from ${JSON.stringify(new URL("../src/index.js", import.meta.url).href)};
    await new Client("${url}").analyzeFile(${JSON.stringify(film)}).catch(({ status }) => console.log(status));
    setTimeout(() => process.exit(1), 3000).unref();`; // whatever else is left would keep it until then
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program]);
    assert.equal(stdout, "422\n");
  } finally {
    end();
  }
});
