// Serves the type of test_leases.py by the Node client: `URL KEY NAME GRACE`.
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Partial, WorkFailed } from "../../../clients/node/src/index.js";

const [url, apiKey, worker, grace] = process.argv.slice(2);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());

const work = {
  async steps(run) {
    let sum = 0;
    for (let n = 1; n <= run.payload.n; n++) {
      sum += await run.step(`n-${n}`, () => n);
      run.progress((100 * n) / run.payload.n, { message: `at ${n}` });
    }
    await run.artifact("sum.txt", new TextEncoder().encode(String(sum)));
    return { sum };
  },
  partial: () => new Partial({ done: 1 }, ["the rest"]),
  refuse() {
    throw new WorkFailed("it is odd", { type: "odd" });
  },
  huge: () => "x".repeat(2 << 20),
  async sleep(run) {
    await sleep(run.payload.n * 1000, undefined, { signal: run.signal }).catch(() => {
      console.log(`stopped: ${run.signal.reason.message}`);
      run.signal.throwIfAborted();
    });
  },
  break() {
    throw new Error("it broke");
  },
};
await new Client(url, { apiKey }).work(["count"], (run) => work[run.payload.do](run), {
  worker, graceMs: grace * 1000, signal: stop.signal,
});
