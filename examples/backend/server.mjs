// An example of the online service's backend: analyses in a file, the failed-jobs API that the box polls, and a page.
//
//   INTERNAL_API_KEY=secret PORT=3000 DATA_FILE=backend.json node server.mjs
import { createServer } from "node:http";
import { timingSafeEqual, createHash } from "node:crypto";
import { Ledger } from "./ledger.mjs";
import { page } from "./page.mjs";

const key = process.env.INTERNAL_API_KEY ?? "";
const ledger = new Ledger(process.env.DATA_FILE ?? "backend.json");
const LARGEST_BODY = 4 * 1024 * 1024;

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const routes = [
  ["GET", /^\/$/, async () => ({ html: page(ledger.all(), ledger.points(), ledger.notifications()) })],
  ["GET", /^\/v1\/points$/, async () => ({ json: ledger.points() }), "key"],
  ["GET", /^\/v1\/analysis\/failed$/, async ({ query }) => ({ json: ledger.failed(limitOf(query)) }), "key"],
  ["GET", /^\/v1\/analysis\/pending$/, async ({ query }) => ({ json: ledger.pending(limitOf(query)) }), "key"],
  ["PUT", /^\/v1\/analysis\/([^/]+)\/result$/, putResult, "key"],
  ["POST", /^\/v1\/analysis\/([^/]+)\/fail$/, async ({ id, body }) => ({ json: ledger.fail(id, body.error ?? "failed") }), "key"],
  ["GET", /^\/v1\/analysis\/([^/]+)$/, async ({ id }) => ({ json: ledger.get(id) }), "key"],
  ["POST", /^\/v1\/analysis$/, async ({ body }) => ({ status: 201, json: ledger.add(body) })],
];

async function putResult({ id, body, headers }) {
  if (!body.recipe || !body.metadata) throw new Refusal(422, "recipe and metadata are required");
  const outcome = ledger.complete(id, body, {
    idempotencyKey: headers["idempotency-key"] ?? null,
    epoch: Number(headers["secondunit-epoch"] ?? 0),
  });
  if (outcome === "stale") throw new Refusal(412, "a newer run has written this result");
  if (outcome === "taken") throw new Refusal(409, "there is a result already");
  return { json: { id, outcome } };
}

function limitOf(query) {
  const limit = Number(query.get("limit") ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new Refusal(422, "limit is a number from 1 to 1000");
  return limit;
}

function knows(request) {
  const digest = (text) => createHash("sha256").update(text).digest();
  return !key || timingSafeEqual(digest(String(request.headers["x-api-key"] ?? "")), digest(key));
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new Refusal(413, "the body is too large");
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  if (!text) return {};
  if (request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded")) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "the body is not JSON");
  }
}

async function answer(request) {
  const url = new URL(request.url, "http://backend");
  for (const [method, path, handle, guard] of routes) {
    const match = request.method === method && url.pathname.match(path);
    if (!match) continue;
    if (guard && !knows(request)) throw new Refusal(401, "X-API-Key is missing or wrong");
    const id = match[1] === undefined ? undefined : decodeURIComponent(match[1]);
    if (id !== undefined && !ledger.has(id)) throw new Refusal(404, `no analysis has the id ${id}`);
    return handle({ id, query: url.searchParams, headers: request.headers, body: await bodyOf(request) });
  }
  throw new Refusal(404, "nothing is here");
}

const server = createServer(async (request, response) => {
  let reply;
  try {
    reply = await answer(request);
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error);
    reply = { status: error.status ?? 500, json: { error: error.message } };
  }
  if (reply.html === undefined) {
    response.writeHead(reply.status ?? 200, { "content-type": "application/json" });
    response.end(JSON.stringify(reply.json));
  } else {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end(reply.html);
  }
});

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`backend on http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
