import { expect, test } from "bun:test";
import type { HostClient } from "../../../../src/hosts/opencode-1/host-client.ts";
import { createStaleViews } from "../../../../src/hosts/opencode-1/stale-views.ts";
import { writerOf, writeView } from "../../../../src/hosts/opencode-1/view-parts.ts";
import { toProcessName } from "../../../../src/shared/process-identity.ts";

type Part = { id: string; type: string; text: string; metadata?: object };

/** A session whose last message has views by these writers. */
function open(...writers: readonly (string | null)[]) {
  const parts: Part[] = [];
  let reads = 0;
  const client = {
    session: {
      messages: async () => {
        reads++;
        return { data: [{ info: { id: "msg" }, parts: [{ id: "prt_0", type: "text", text: "an answer" }, ...parts] }] };
      },
    },
    part: {
      update: async ({ part }: { part: Part }) => {
        const at = parts.findIndex(({ id }) => id === part.id);
        parts.splice(at < 0 ? parts.length : at, 1, part);
      },
    },
  } as unknown as HostClient;
  const place = (n: number) => ({ sessionID: "ses", messageID: "msg", partID: `prt_${n + 1}` });
  const made = Promise.all(writers.map((writer, n) => writeView(client, place(n), "1 running", writer)));
  const texts = () => parts.map(({ text }) => text.split("\n")[0]);
  return { client, parts, made, texts, reads: () => reads };
}

const self = toProcessName("view_now");
const dead = self.replace(/^\d+/, "4194999"); // above the largest process id
const elsewhere = "12:view_x:another-place:7";

test("what a killed OpenCode showed last says so, once, and stays a view that models are not shown", async () => {
  const { client, made, texts, parts, reads } = open(dead, toProcessName("view_before_the_reload"));
  await made;
  const views = createStaleViews(client, self);
  await views.settle("ses");
  await views.settle("ses");
  expect(texts()).toEqual(Array.from({ length: 2 }, () => expect.stringMatching(/^OpenCode ended here/)));
  expect(parts[0]?.text).toEndWith("\n\n1 running");
  expect(parts.map(writerOf)).toEqual([null, null]);
  await createStaleViews(client, self).settle("ses");
  expect(parts[0]?.text.match(/OpenCode ended here/g)).toHaveLength(1);
  expect(reads()).toBe(2);
});

test("what another process may still change, what this one shows, and what was left for good stay as they are", async () => {
  const { client, made, texts } = open(self, elsewhere, null);
  await made;
  await createStaleViews(client, self).settle("ses");
  expect(texts()).toEqual(["1 running", "1 running", "1 running"]);
});

test("a session that cannot be read stops nothing", async () => {
  const client = { session: { messages: () => Promise.reject(new Error("gone")) } } as unknown as HostClient;
  await createStaleViews(client, self).settle("ses");
});
