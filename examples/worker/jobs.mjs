// The job API from Node, without dependencies: submit, follow over SSE, and take the signed callback.
//
//   CALLBACK_SECRET=... node jobs.mjs http://127.0.0.1:8000 thumbnail '{"videoPath": "...", "outputPath": "..."}'
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const [base, type, payload] = process.argv.slice(2);
const secret = process.env.CALLBACK_SECRET ?? "";
const headers = process.env.API_KEY ? { authorization: `Bearer ${process.env.API_KEY}` } : {};

/** Standard Webhooks: HMAC-SHA256 over "id.timestamp.body"; a message older than five minutes is refused. */
function verified(request, body) {
  const [id, at] = [request.headers["webhook-id"], request.headers["webhook-timestamp"]];
  if (Math.abs(Date.now() / 1000 - Number(at)) > 300) return false;
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const expected = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest();
  return String(request.headers["webhook-signature"]).split(" ").some((signature) => {
    const given = Buffer.from(signature.replace(/^v1,/, ""), "base64");
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

/** A server for one callback: its URL, and a promise of what it was told. */
async function receiver() {
  let told;
  const news = new Promise((resolve) => (told = resolve));
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const good = !secret || verified(request, body);
    response.writeHead(good ? 204 : 401).end();
    if (good) told({ id: request.headers["webhook-id"], epoch: request.headers["secondunit-epoch"], ...JSON.parse(body) });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/done`, news, close: () => server.close() };
}

/**
 * What happens to one job. An event is sent once, so the job as it stands comes first, when nothing can be missed any
 * more; a broken connection is taken up where it broke.
 */
async function* follow(jobId) {
  let last = "";
  for (;;) {
    try {
      const url = `${base}/api/events?jobId=${jobId}${last && `&lastEventId=${encodeURIComponent(last)}`}`;
      const stream = await fetch(url, { headers });
      yield { ...(await (await fetch(`${base}/api/jobs/${jobId}`, { headers })).json()), type: "job:now" };
      let rest = "";
      for await (const chunk of stream.body.pipeThrough(new TextDecoderStream())) {
        const messages = (rest + chunk).split("\n\n");
        rest = messages.pop();
        for (const message of messages) {
          last = message.match(/^id: (.*)$/m)?.[1] ?? last;
          const data = message.match(/^data: (.*)$/m)?.[1];
          if (data) yield JSON.parse(data);
        }
      }
    } catch (error) {
      console.error(`the stream broke (${error.cause?.code ?? error.message}); following again`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const callback = await receiver();
const response = await fetch(`${base}/api/jobs`, {
  method: "POST",
  headers: { ...headers, "content-type": "application/json", "idempotency-key": `example-${process.pid}-${Date.now()}` },
  body: JSON.stringify({ type, payload: JSON.parse(payload), callback: callback.url }),
});
const job = await response.json();
if (response.status !== 201) {
  console.error(job);
  process.exit(1);
}
console.log(`queued ${job.jobId}`);
for await (const event of follow(job.jobId)) {
  console.log(event.type, event.status ?? "", event.progress ?? "", event.message ?? "");
  if (["completed", "partial", "failed", "cancelled"].includes(event.status)) break;
}
console.log("callback", JSON.stringify(await callback.news));
callback.close();
process.exit(0);
