// What somebody writes against the types that openapi-typescript makes of our document; compiled, never run.
import type { components, operations, paths, webhooks } from "./document";

type Submit = paths["/api/jobs"]["post"]["requestBody"]["content"]["application/json"];
type Accepted = paths["/api/jobs"]["post"]["responses"][201]["content"]["application/json"];

// Only what is required, of every type.
export const least: Submit[] = [
  { type: "hls", payload: { inputPath: "/m/a.mp4", outputDir: "/m/a" } },
  { type: "thumbnail", payload: { videoPath: "/m/a.mp4", outputPath: "/m/a.jpg" } },
  { type: "webp", payload: { inputPath: "/m/a.png", outputPath: "/m/a.webp" } },
  { type: "download", payload: { url: "https://example.com/a.mp4", outputPath: "/m/a.mp4" } },
  { type: "deploy", payload: { projectId: "website" } },
  { type: "analyze", payload: { videoUrl: "https://example.com/a.mp4" } },
  { type: "locations", payload: { videoUrl: "https://example.com/a.mp4" } },
];
export const batch: components["schemas"]["BatchAsk"] = { jobs: least };
export const more: Submit = { ...least[0], priority: null, callback: "https://example.com/done", retryPolicy: { maxRetries: 1 } };
export const cancel: components["schemas"]["BulkAsk"] = { filter: { status: ["queued"] } };
export const places: components["schemas"]["VideoAsk"] = { url: "https://example.com/a.mp4" };

// @ts-expect-error a field of another type's payload
export const wrong: Submit = { type: "webp", payload: { videoPath: "/m/a.mp4", outputPath: "/m/a.webp" } };
// @ts-expect-error a type that nobody serves
export const unknown: Submit = { type: "bake", payload: {} };
// @ts-expect-error a payload that lacks what it needs
export const lacking: Submit = { type: "hls", payload: { inputPath: "/m/a.mp4" } };

// What comes back: what may be missing has to be asked for.
export const waits = (accepted: Accepted): boolean => accepted.paused ?? false;
export const faults = (problem: components["schemas"]["Problem"]): string[] =>
  (problem.errors ?? []).map((fault) => `${fault.field}: ${fault.message}`);
export const told = (message: components["schemas"]["EventMessage"]): string =>
  message.type === "reset" ? `${message.jobs.length} jobs` : message.jobId;
export const ended = (body: webhooks["jobEnded"]["post"]["requestBody"]["content"]["application/json"]): string =>
  body.error === null ? body.status : body.error.message;
export type Pages = NonNullable<operations["jobs.find"]["parameters"]["query"]>;
export const page: Pages = { limit: 5 };
