// The job API from Node: submit, follow over SSE, and take the signed callback.
//
//   CALLBACK_SECRET=... node jobs.mjs http://127.0.0.1:8000 thumbnail '{"videoPath": "...", "outputPath": "..."}'
import { createServer } from "node:http";
import { Client, Receiver } from "../../clients/node/src/index.js";

const [base, type, payload] = process.argv.slice(2);
const client = new Client(base, { apiKey: process.env.API_KEY });

/** A server for one callback: its URL, and a promise of what it was told. */
async function receiver(secret) {
  const callbacks = new Receiver(secret);
  let told;
  const news = new Promise((resolve) => (told = resolve));
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      const { verdict, id, epoch, content } = callbacks.receive(request.headers, Buffer.concat(chunks));
      response.writeHead(204).end();
      if (verdict === "new") told({ id, epoch, ...content });
    } catch (refused) {
      console.error(refused.message);
      response.writeHead(401).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/done`, news, close: () => server.close() };
}

const callback = await receiver(process.env.CALLBACK_SECRET ?? "");
const { jobId } = await client.submit({ type, payload: JSON.parse(payload), callback: callback.url });
console.log(`queued ${jobId}`);
const tell = ({ type, status, progress, message }) => console.log(type, status ?? "", progress ?? "", message ?? "");
const job = await client.wait(jobId, { onEvent: tell });
console.log(`${jobId} is ${job.status}`);
console.log("callback", JSON.stringify(await callback.news));
callback.close();
