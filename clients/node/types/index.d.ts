export { Client } from "./client.js";
export * from "./errors.js";
/**
 * The document's shapes: `Schemas["Job"]` and so on.
 */
export type Schemas = import("./openapi.js").components["schemas"];
export type Message = import("./client.js").Message;
export type Now = import("./client.js").Now;
export type Submit = import("./client.js").Submit;
export type Callback = import("./webhooks.js").Callback;
export type Lease = import("./leases.js").Lease;
export { Receiver, verify } from "./webhooks.js";
export { Partial, Run, WorkFailed, WorkStopped } from "./work.js";
