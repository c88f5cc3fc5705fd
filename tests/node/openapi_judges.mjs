// Judges of an OpenAPI document and of our client: Redocly's linter, and TypeScript on programs that use their types.
// Usage: node openapi_judges.mjs DOCUMENT PACKAGE FOLDER; prints {"lint": [...], "types": [...], "drift": ..., ...}.
import { cpSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
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

// The package as its own tsconfig.json has it, and as a program has it that has the checkout installed.
const read = ts.getParsedCommandLineOfConfigFile(join(home, "tsconfig.json"), {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: console.error });
const typeRoots = [join(import.meta.dirname, "node_modules", "@types")];
const installed = join(folder, "node_modules", "secondunit-client");
mkdirSync(installed, { recursive: true });
const outDir = join(folder, "types");
const emitted = { noEmit: false, declaration: true, emitDeclarationOnly: true, outDir, typeRoots };
const client = ts.createProgram(read.fileNames, { ...read.options, ...emitted });
client.emit();
const { files } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
for (const name of ["package.json", ...files]) cpSync(join(home, name), join(installed, name), { recursive: true });
const written = (from, name) => `${name}\n${readFileSync(join(from, name), "utf8")}`;
const declarations = (from) => readdirSync(from).filter((name) => name !== "openapi.d.ts").sort().map((name) => written(from, name));
copyFileSync(join(import.meta.dirname, "client_user.ts"), join(folder, "user.mts"));
const nodeNext = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext };
const user = ts.createProgram([join(folder, "user.mts")], { ...strict, ...nodeNext, noEmit: true, types: ["node"], typeRoots });

console.log(
  JSON.stringify({
    lint: found.map((one) => `${one.ruleId} ${one.location[0]?.pointer}: ${one.message}`),
    types: faults(judged),
    drift: !readFileSync(join(home, "src", "openapi.d.ts"), "utf8").endsWith(types),
    declarations: declarations(outDir).filter((text, index) => text !== declarations(join(home, "types"))[index]),
    client: faults(client),
    user: faults(user),
  }),
);
