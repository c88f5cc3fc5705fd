// An example of the online service's worker: takes pending analyses from the backend, has a processor do them, gives
// the recipe back; an analysis that the processor could not do is marked failed, so that the backup box finds it.
//
//   BACKEND_API_URL=http://127.0.0.1:3000 INTERNAL_API_KEY=secret PROCESSOR_URL=http://127.0.0.1:8000 node worker.mjs [--once]
import { Client } from "../../clients/node/src/index.js";

const backend = process.env.BACKEND_API_URL ?? "http://127.0.0.1:3000";
const processor = process.env.PROCESSOR_URL ?? "http://127.0.0.1:8000";
const asked = new Client(processor, { apiKey: process.env.API_KEY, patienceMs: 0 });
const followed = new Client(processor, { apiKey: process.env.API_KEY, patienceMs: 60_000 });
const interval = Number(process.env.POLL_INTERVAL_MS ?? 2000);
const backendHeaders = { "x-api-key": process.env.INTERNAL_API_KEY ?? "", "content-type": "application/json" };

async function call(method, path, body) {
  const response = await fetch(backend + path, { method, headers: backendHeaders, body: body && JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

// A processor that is not there when it is asked has done nothing: the analysis is the backup box's at once. One that has
// taken it is followed to its end, and has died when it does not answer for a minute; to mark the analysis failed before
// would have the backup box do it, and Gemini paid, a second time.
async function analyze(videoUrl) {
  const answer = await asked.analyzeUrl(videoUrl);
  if (answer.recipe) return answer;
  console.log(`following ${answer.jobId}`);
  const job = await followed.wait(answer.jobId);
  if (job.status !== "completed") throw new Error(`${job.status}: ${job.error?.message}`);
  return job.result;
}

async function work({ jobId, videoUrl }) {
  const path = `/v1/analysis/${encodeURIComponent(jobId)}`;
  console.log(`processing ${jobId}`);
  try {
    const { recipe, metadata } = await analyze(videoUrl);
    await call("PUT", `${path}/result`, { recipe, metadata });
    console.log(`completed ${jobId}: ${recipe.name}`);
  } catch (error) {
    console.log(`failed ${jobId}: ${error.cause?.code ?? error.message}`);
    await call("POST", `${path}/fail`, { error: String(error.message) });
  }
}

const once = process.argv.includes("--once");
do {
  for (const analysis of await call("GET", "/v1/analysis/pending?limit=10").catch(() => [])) await work(analysis);
  if (!once) await new Promise((resolve) => setTimeout(resolve, interval));
} while (!once);
