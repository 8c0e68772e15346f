import { describe, expect, test } from "bun:test";
import { BURST_STEPS, playBurstKill } from "../chaos/burst-kill.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
import { whyNoIsolation } from "./local-support.ts";
import { useModalServer } from "./modal-support.ts";

/* `npm run chaos -- --bursts` kills it at every single call and write. */

const why = await whyNoIsolation();

describe.skipIf(why !== null)(`a command on a GPU of this machine${why ? ` (skipped: ${why})` : ""}`, () => {
  const isOfModal = (words: string) => /(made|copied|packed)$/.test(words);
  for (const [words, step] of BURST_STEPS.filter(([each]) => !isOfModal(each)))
    test(`whose process is killed ${words} leaves whole files, no GPU, and word of it`, async () => {
      expect((await playBurstKill("local", step)).problems).toEqual([]);
    });
});

describe.skipIf(!canIsolate())("a command on a GPU of Modal", () => {
  useModalServer();
  for (const [words, step] of BURST_STEPS)
    test(`whose process is killed ${words} leaves whole files, no GPU, its cost once, and word of it`, async () => {
      expect((await playBurstKill("modal", step)).problems).toEqual([]);
    });
});
