// The types of the API, where the declarations beside this look for them.
export type * from "../src/openapi.js";
