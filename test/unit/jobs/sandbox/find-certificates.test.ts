import { expect, test } from "bun:test";
import { certificateNotes } from "../../../../src/jobs/sandbox/find-certificates.ts";
import type { ExecRequest, Sandbox } from "../../../../src/sandboxes/port.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { createFakeProcess } from "../../tools/fake-process.ts";

/** @param lacking what the sandbox prints of the files that it is asked for */
function notesWith(env: Record<string, string>, lacking: readonly string[]) {
  const asked: string[] = [];
  const sandbox = {
    async start({ argv }: ExecRequest) {
      asked.push(...argv.slice(4));
      const process = createFakeProcess();
      for (const path of lacking) process.print(`${path}\n`);
      process.end({ kind: "exited", code: 0 });
      return process;
    },
  } as unknown as Sandbox;
  return certificateNotes({ provider: "local" }, sandbox, env, createFakeClock()).then((notes) => ({ notes, asked }));
}

test("the files of certificates that a sandbox's variables name are looked for in it, and those it lacks are told", async () => {
  const env = { SSL_CERT_FILE: "/etc/corp.pem", PIP_CERT: "/etc/corp.pem", CURL_CA_BUNDLE: "/etc/ssl/certs/all.pem" };
  const { notes, asked } = await notesWith(env, ["/etc/corp.pem"]);
  expect(asked).toEqual(["/etc/corp.pem", "/etc/ssl/certs/all.pem"]);
  expect(notes.map((note) => note.split(",")[0])).toEqual([
    "SSL_CERT_FILE names /etc/corp.pem",
    "PIP_CERT names /etc/corp.pem",
  ]);
});

test("without such variables nothing is asked", async () => {
  expect(await notesWith({ HOME: "/root" }, [])).toEqual({ notes: [], asked: [] });
});
