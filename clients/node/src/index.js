// Client of Second Unit's HTTP API, for Node 20.3 and newer, without dependencies.
export { Client } from "./client.js";
export * from "./errors.js";
export { Receiver, verify } from "./webhooks.js";
export { Partial, Run, WorkFailed, WorkStopped } from "./work.js";

/**
 * @typedef {import("./openapi.js").components["schemas"]} Schemas The document's shapes: `Schemas["Job"]` and so on.
 * @typedef {import("./client.js").Message} Message
 * @typedef {import("./client.js").Now} Now
 * @typedef {import("./client.js").Submit} Submit
 * @typedef {import("./webhooks.js").Callback} Callback
 * @typedef {import("./leases.js").Lease} Lease
 */
