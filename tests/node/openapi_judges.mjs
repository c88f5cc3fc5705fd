// Judges of an OpenAPI document: what Redocly's linter says of it, and whether TypeScript takes a client of its types.
// Usage: node openapi_judges.mjs DOCUMENT FOLDER; prints {"lint": [...], "types": [...]}.
import { readFileSync, copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConfig, lint } from "@redocly/openapi-core";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const [document, folder] = process.argv.slice(2);
const config = await createConfig({
  extends: ["recommended-strict"],
  rules: { "no-unused-components": "off" }, // the messages of a stream are named beside it, in `x-events`
});
const found = await lint({ ref: document, config });

writeFileSync(join(folder, "document.ts"), astToString(await openapiTS(JSON.parse(readFileSync(document, "utf8")))));
copyFileSync(join(import.meta.dirname, "openapi_client.ts"), join(folder, "client.ts"));
const program = ts.createProgram([join(folder, "client.ts")], {
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  types: [],
});
const faults = ts.getPreEmitDiagnostics(program);
console.log(
  JSON.stringify({
    lint: found.map((one) => `${one.ruleId} ${one.location[0]?.pointer}: ${one.message}`),
    types: faults.map((one) => {
      const line = one.file ? one.file.getLineAndCharacterOfPosition(one.start).line + 1 : 0;
      return `${one.file?.fileName}:${line} ${ts.flattenDiagnosticMessageText(one.messageText, " ")}`;
    }),
  }),
);
