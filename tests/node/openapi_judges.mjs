// Judges of an OpenAPI document and of our client: Redocly's linter, and TypeScript on programs that use their types.
// Usage: node openapi_judges.mjs DOCUMENT PACKAGE FOLDER; prints {"lint": [...], "types": [...], "drift": ..., ...}.
import { cpSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConfig, lint } from "@redocly/openapi-core";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const [document, home, folder] = process.argv.slice(2);
const config = await createConfig({
  extends: ["recommended-strict"],
  rules: { "no-unused-components": "off" }, // the messages of a stream are named beside it, in `x-events`
});
const found = await lint({ ref: document, config });

const types = astToString(await openapiTS(JSON.parse(readFileSync(document, "utf8"))));
writeFileSync(join(folder, "document.ts"), types);
copyFileSync(join(import.meta.dirname, "openapi_client.ts"), join(folder, "client.ts"));

/** What a compiler says of a program. */
function faults(program) {
  return ts.getPreEmitDiagnostics(program).map((one) => {
    const line = one.file ? one.file.getLineAndCharacterOfPosition(one.start).line + 1 : 0;
    return `${one.file?.fileName}:${line} ${ts.flattenDiagnosticMessageText(one.messageText, " ")}`;
  });
}

const strict = { strict: true, exactOptionalPropertyTypes: true, target: ts.ScriptTarget.ES2023 };
const bundled = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, skipLibCheck: true };
const judged = ts.createProgram([join(folder, "client.ts")], { ...strict, ...bundled, noEmit: true, types: [] });

// The package as its own tsconfig.json has it, its declarations where a program finds them that has it installed.
const read = ts.getParsedCommandLineOfConfigFile(join(home, "tsconfig.json"), {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: console.error });
const typeRoots = [join(import.meta.dirname, "node_modules", "@types")];
const installed = join(folder, "node_modules", "secondunit-client");
mkdirSync(installed, { recursive: true });
const emitted = { noEmit: false, declaration: true, emitDeclarationOnly: true, outDir: join(installed, "types"), typeRoots };
const client = ts.createProgram(read.fileNames, { ...read.options, ...emitted });
client.emit();
copyFileSync(join(home, "src", "openapi.d.ts"), join(installed, "types", "openapi.d.ts"));
copyFileSync(join(home, "package.json"), join(installed, "package.json"));
cpSync(join(home, "src"), join(installed, "src"), { recursive: true });
copyFileSync(join(import.meta.dirname, "client_user.ts"), join(folder, "user.mts"));
const nodeNext = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext };
const user = ts.createProgram([join(folder, "user.mts")], { ...strict, ...nodeNext, noEmit: true, types: ["node"], typeRoots });

console.log(
  JSON.stringify({
    lint: found.map((one) => `${one.ruleId} ${one.location[0]?.pointer}: ${one.message}`),
    types: faults(judged),
    drift: !readFileSync(join(home, "src", "openapi.d.ts"), "utf8").endsWith(types),
    client: faults(client),
    user: faults(user),
  }),
);
