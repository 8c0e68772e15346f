import { expect, test } from "bun:test";
import { certificatesIn, missingCertificateNote, missingVariableNotes } from "../../../src/core/variable-notes.ts";

test("variables that hostEnv names and that are not set here are named, unless the environment sets them itself", () => {
  const environment = { hostEnv: ["HF_TOKEN", "WANDB_API_KEY", "MODE", "EMPTY"], env: { MODE: "online" } };
  expect(missingVariableNotes({ HF_TOKEN: "secret", EMPTY: "" }, environment)).toEqual([
    'Not set where OpenCode runs, so the sandbox lacks what its environment\'s "hostEnv" names: WANDB_API_KEY.',
  ]);
  expect(missingVariableNotes({}, { hostEnv: [], env: {} })).toEqual([]);
});

test("a file of certificates that a sandbox lacks is named, with the remedy of its provider", () => {
  const named = certificatesIn({ SSL_CERT_FILE: "/opt/corp.pem", CURL_CA_BUNDLE: "", HOME: "/root" });
  expect([...named]).toEqual([["SSL_CERT_FILE", "/opt/corp.pem"]]);
  expect(missingCertificateNote("SSL_CERT_FILE", "/opt/corp.pem", "local")).toMatch(/\/opt\/corp\.pem.*readOnlyPaths/);
  expect(missingCertificateNote("SSL_CERT_FILE", "/opt/corp.pem", "modal")).toMatch(/image.*"setup"/);
});
