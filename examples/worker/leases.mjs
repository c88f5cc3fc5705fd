// A remote worker: leases jobs of the type `words`, counts each page's words as a step of its own, and sends the counts as a file.
// With `[remote_types.words]` in the daemon's configuration file, its payload `{"pages": ["one text", ...]}`:
//   API_KEY=su_... PROCESSOR_URL=http://127.0.0.1:8000 node leases.mjs [--once]
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const base = process.env.PROCESSOR_URL ?? "http://127.0.0.1:8000";
const pause = Number(process.env.PAUSE_MS ?? 0); // so long each page takes
const key = process.env.API_KEY ? { "x-api-key": process.env.API_KEY } : {};
class Stale extends Error {}

/** One call, repeated while the daemon is away, full or draining; each of them may be sent twice. */
async function call(method, path, body) {
  for (;;) {
    const file = body instanceof Uint8Array;
    const headers = { ...key, "content-type": file ? "application/octet-stream" : "application/json" };
    const answer = await fetch(base + path, { method, headers, body: file ? body : JSON.stringify(body) }).catch(() => null);
    if (answer?.ok) return answer.json();
    const told = (await answer?.text().catch(() => "")) ?? "no answer";
    if (answer?.status === 409) throw new Stale(told); // somebody else has the job: stop, and write nothing
    if (answer && answer.status < 500 && answer.status !== 429) throw new Error(`${method} ${path}: ${answer.status} ${told}`);
    await sleep(1000 * (Number(answer?.headers.get("retry-after")) || 1)); // a proxy's may be a date
  }
}

async function work({ token, jobId, payload, steps, expiresAt }) {
  const lease = `/api/leases/${token}`;
  const lost = new AbortController();
  const beat = setInterval(() => call("PUT", lease, {}).then(
    ({ cancelRequested }) => cancelRequested && lost.abort(new Stale("it was cancelled")), (error) => lost.abort(error),
  ), Math.min(Math.max(200, (Date.parse(expiresAt) - Date.now()) / 3), 10_000)); // the clocks may differ
  try {
    const counts = [];
    for (const [index, page] of payload.pages.entries()) {
      lost.signal.throwIfAborted();
      const step = `page-${index + 1}`;
      if (!(step in steps)) { // else an earlier lease has done it
        await sleep(pause);
        steps[step] = page.split(/\s+/).filter(Boolean).length;
        await call("PUT", `${lease}/steps/${step}`, { result: steps[step] });
        console.log(`${jobId} did ${step}`);
      }
      counts.push(steps[step]);
      await call("PUT", lease, { progress: (100 * counts.length) / payload.pages.length, phase: "counting" });
    }
    await call("PUT", `${lease}/artifacts/counts.json`, new TextEncoder().encode(JSON.stringify(counts)));
    const { status } = await call("POST", `${lease}/complete`, { result: { words: counts.reduce((a, b) => a + b, 0) } });
    console.log(`${jobId} is ${status}`);
  } catch (error) {
    console.log(`${jobId} was given up: ${error.message}`);
    if (!(error instanceof Stale)) await call("POST", `${lease}/fail`, { error: { class: "transient", type: "worker", message: error.message } });
  } finally {
    clearInterval(beat);
  }
}

do {
  const { leases } = await call("POST", "/api/leases", { types: ["words"], waitSeconds: 20, worker: process.env.WORKER ?? hostname() });
  for (const lease of leases) await work(lease);
} while (!process.argv.includes("--once"));
