// BullMQ at the same work: no-op jobs by 64 callers, one worker of concurrency 10, over Redis on a unix socket.
//
// node bullmq.mjs N SOCKET

import { Queue, Worker } from "bullmq";

const [n, socket] = process.argv.slice(2);
const jobs = Number(n);
const CALLERS = 64;
const connection = { path: socket, maxRetriesPerRequest: null };

async function submit(queue) {
  let next = 0;
  const caller = async () => {
    while (next < jobs) await queue.add("noop", { n: next++ });
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

function work(name) {
  return new Promise((resolve, reject) => {
    let ended = 0;
    const worker = new Worker(name, async (job) => ({ n: job.data.n }), { connection, concurrency: 10 });
    worker.on("error", reject);
    worker.on("failed", (_job, error) => reject(error));
    worker.on("completed", () => {
      const at = performance.now();
      ended += 1;
      if (ended === jobs) resolve(worker.close().then(() => at));
    });
  });
}

const perSecond = (began, ended) => (jobs / (ended - began)) * 1000;

const first = new Queue("enqueued", { connection });
await first.waitUntilReady();
const began = performance.now();
await submit(first);
const enqueued = performance.now();
const drained = await work("enqueued");

const second = new Queue("both", { connection });
await second.waitUntilReady();
const both = performance.now();
const [ended] = await Promise.all([work("both"), submit(second)]);
await Promise.all([first.close(), second.close()]);

console.log(
  JSON.stringify({
    "enqueue/s": perSecond(began, enqueued),
    "drain/s": perSecond(enqueued, drained),
    "end to end/s": perSecond(both, ended),
  }),
);
