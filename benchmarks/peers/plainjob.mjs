// plainjob at the same work: no-op jobs, 10 workers, in one process, as its own worker runs them.
//
// node plainjob.mjs N full|normal FOLDER

import { join } from "node:path";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { better, defineQueue, defineWorker } from "plainjob";

const [n, synchronous, folder] = process.argv.slice(2);
const jobs = Number(n);
const WORKERS = 10;
const CALLERS = 64;
const logger = { error: console.error, warn() {}, info() {}, debug() {} };

function open(name) {
  const database = new Database(join(folder, name));
  const queue = defineQueue({ connection: better(database), logger });
  // plainjob sets NORMAL itself when it opens, so FULL must come after.
  database.pragma(`synchronous = ${synchronous}`);
  return queue;
}

function work(queue) {
  const running = { ended: 0 };
  const noop = async (job) => ({ n: JSON.parse(job.data).n });
  const onCompleted = () => (running.ended += 1);
  const start = () => defineWorker("noop", noop, { queue, onCompleted, logger, pollIntervall: 1 });
  running.workers = Array.from({ length: WORKERS }, start);
  running.workers.forEach((worker) => worker.start());
  return running;
}

async function finish(running) {
  while (running.ended < jobs) await sleep(1);
  const at = performance.now();
  await Promise.all(running.workers.map((worker) => worker.stop()));
  return at;
}

const perSecond = (began, ended) => (jobs / (ended - began)) * 1000;

const first = open("enqueued.db");
const began = performance.now();
for (let i = 0; i < jobs; i++) first.add("noop", { n: i });
const enqueued = performance.now();
const drained = await finish(work(first));
first.close();

const second = open("both.db");
const both = performance.now();
const running = work(second);
for (let i = 0; i < jobs; i++) {
  second.add("noop", { n: i });
  // Its add() blocks: the 64 callers take their turns, then its workers theirs.
  if (i % CALLERS === CALLERS - 1) await turn();
}
const ended = await finish(running);
second.close();

console.log(
  JSON.stringify({
    "enqueue/s": perSecond(began, enqueued),
    "drain/s": perSecond(enqueued, drained),
    "end to end/s": perSecond(both, ended),
  }),
);
