// What somebody writes against the Node client as it is installed; compiled, never run.
import { Client, Conflict, Partial, Receiver, WorkFailed, type Callback, type Lease, type Message, type Now, type Submit } from "secondunit-client";

const client = new Client("http://127.0.0.1:8000", { apiKey: process.env["API_KEY"], patienceMs: 1000 });
const { jobId } = await client.submit({ type: "webp", payload: { inputPath: "/m/a.png", outputPath: "/m/a.webp" } });
const job = await client.wait(jobId, { timeoutMs: 60_000, onEvent: (message: Message | Now) => console.log(message.type) });
export const status: "cancelled" | "completed" | "failed" | "partial" | "queued" | "running" = job.status;
export const { jobs } = await client.list({ status: ["failed"], limit: 5 });
export const why: string = (await client.explain(jobId)).sentence;
const found = await client.analyzeFile("/m/a.mp4", { onProgress: (sent, size) => console.log(sent / size) });
export const analysis: string = "recipe" in found ? found.jobId : found.status;
await client.cancel(jobId).catch((error: unknown) => error instanceof Conflict && error.errors.map((one) => one.field));
export const told: Callback = new Receiver("whsec_c2VjcmV0").receive({ "webhook-id": "1" }, "{}");

// @ts-expect-error a payload that lacks what it needs
await client.submit({ type: "hls", payload: { inputPath: "/m/a.mp4" } });
// @ts-expect-error a type that nobody serves
await client.submit({ type: "bake", payload: {} });
await new Client<Submit | { type: "bake"; payload: { loaves: number } }>("http://x").submit({ type: "bake", payload: { loaves: 2 } });
await client.work<{ page: number }>(["ocr"], async (run) => {
  const text: string = await run.step("read", () => `page ${run.payload.page}`);
  run.progress(50, { message: text });
  await run.artifact("page.txt", new TextEncoder().encode(text));
  if (!text) throw new WorkFailed("no text", { class: "timeout", retryAfterSeconds: 5 });
  return run.signal.aborted ? new Partial(text, ["more"]) : { text };
}, { worker: "gpu-7", concurrency: 2, signal: AbortSignal.timeout(1000) });
const [lease]: Lease[] = await client.leases.take(["ocr"], "gpu-7", { waitSeconds: 20 });
export const until: string | undefined = lease && (await client.leases.renew(lease.token, { progress: 5 })).expiresAt;
// @ts-expect-error a class that nobody knows
await client.leases.fail("lt", { class: "odd", type: "x", message: "y" });
