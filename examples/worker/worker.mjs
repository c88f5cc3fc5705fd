// An example of the online service's worker: takes pending analyses from the backend, has a processor do them, gives
// the recipe back; an analysis that the processor could not do is marked failed, so that the backup box finds it.
//
//   BACKEND_API_URL=http://127.0.0.1:3000 INTERNAL_API_KEY=secret PROCESSOR_URL=http://127.0.0.1:8000 node worker.mjs [--once]
const backend = process.env.BACKEND_API_URL ?? "http://127.0.0.1:3000";
const processor = process.env.PROCESSOR_URL ?? "http://127.0.0.1:8000";
const interval = Number(process.env.POLL_INTERVAL_MS ?? 2000);
const silence = 60_000;
const backendHeaders = { "x-api-key": process.env.INTERNAL_API_KEY ?? "", "content-type": "application/json" };
const processorHeaders = process.env.API_KEY ? { authorization: `Bearer ${process.env.API_KEY}` } : {};

async function call(method, path, body) {
  const response = await fetch(backend + path, { method, headers: backendHeaders, body: body && JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function analyze(videoUrl) {
  const form = new FormData();
  form.set("video_url", videoUrl);
  const response = await fetch(`${processor}/analyze-from-url`, { method: "POST", headers: processorHeaders, body: form });
  const answer = await response.json();
  if (response.status === 202) return follow(answer.jobId);
  if (response.status !== 200) throw new Error(`${response.status}: ${answer.detail ?? answer.status}`);
  return answer;
}

// It takes longer than the processor lets a caller wait (ANALYZE_WAIT_SECONDS): the job goes on, and is asked for until
// it has ended. A processor that does not answer for a minute has died; to mark the analysis failed before would have
// the backup box do it, and Gemini paid, a second time.
async function follow(jobId) {
  console.log(`following ${jobId}`);
  let answered = Date.now();
  for (;;) {
    try {
      const response = await fetch(`${processor}/api/jobs/${jobId}`, {
        headers: processorHeaders,
        signal: AbortSignal.timeout(10_000),
      });
      if (response.status === 404) throw Object.assign(new Error(`${jobId} is not known any more`), { final: true });
      if (response.ok) {
        const job = await response.json();
        answered = Date.now();
        if (job.status === "completed") return job.result;
        if (job.status !== "queued" && job.status !== "running") {
          throw Object.assign(new Error(`${job.status}: ${job.error?.message}`), { final: true });
        }
      }
    } catch (error) {
      if (error.final || Date.now() - answered > silence) throw error;
    }
    if (Date.now() - answered > silence) throw new Error(`no answer about ${jobId} for ${silence / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(interval, 2000)));
  }
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
