import { registerHooks } from "node:module";

// For `node --import`: suites written for Bun's runner find Node's in its place.
const standIn = new URL("bun-test-in-node.ts", import.meta.url).href;
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "bun:test"
      ? { url: standIn, format: "module-typescript", shortCircuit: true }
      : next(specifier, context),
});
