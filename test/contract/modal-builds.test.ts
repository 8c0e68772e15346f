import { describe, expect } from "bun:test";
import type { CreationStep } from "../../src/sandboxes/creation-steps.ts";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { SandboxSpec } from "../../src/sandboxes/port.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";

const server = useModalServer({ silentBuilds: true, pulls: { "debian:gone": { missing: true } } });

/** What the work fails with. */
const failsWith = (work: Promise<unknown>): Promise<{ code: string; retryable: boolean | null; message: string }> =>
  work.then(
    () => Promise.reject(new Error("it was created")),
    (error) => error,
  );

let count = 0;
const specOf = (...dockerfile: string[]): SandboxSpec => ({
  name: `build-${count++}`, tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
  machine: { ...DEFAULT_MACHINE, image: { dockerfile, base: null } },
}); // biome-ignore format: one argument

describe("a build that fails", () => {
  modalTest(
    "says the last forty lines of its log, also to who joins when it is over, where Modal gives no reason",
    async () => {
      const recipe =
        "RUN for i in $(seq 60); do echo line-$i.; done; printf '\\033[31mno such package\\033[0m\\n' >&2; exit 7";
      const failures = [specOf(recipe), specOf(recipe)].map((spec) => failsWith(modalProvider().create(spec)));
      for (const { code, retryable, message } of await Promise.all(failures)) {
        expect({ code, retryable }).toEqual({ code: "sandbox_create_failed", retryable: null });
        expect(message).toStartWith("Could not build image python:3.12-bookworm with 1 command: no such package. ");
        const log = message.slice(message.indexOf("\n") + 1).split("\n");
        expect(log).toEqual([...Array.from({ length: 39 }, (_, i) => `line-${i + 22}.`), "no such package"]);
      }
    },
  );

  modalTest("says the end of a long log with long lines, in few characters", async () => {
    const { message } = await failsWith(
      modalProvider().create(
        specOf(
          "RUN for i in $(seq 50); do echo $i; head -c 20000 /dev/zero | tr '\\0' x; echo; done; echo the end; exit 1",
        ),
      ),
    );
    expect(message.length).toBeLessThan(5_000);
    expect(message).toEndWith("…\nthe end");
  });

  modalTest("says so where it has no log", async () => {
    const { message } = await failsWith(modalProvider().create(specOf("RUN exit 1")));
    expect(message).toMatch(/: Modal does not say why\. .* no log of it either: look for im-\w+/);
  });

  modalTest("says what to check of a registry's image where neither Modal nor a log says why", async () => {
    const creation = modalProvider().create({ ...specOf(), machine: { ...DEFAULT_MACHINE, image: "debian:gone" } });
    expect((await failsWith(creation)).message).toMatch(
      /Check that its registry has debian:gone.*if it is private, set "imageSecret".*REGISTRY_USERNAME and REGISTRY_PASSWORD/,
    );
  });

  modalTest("is not taken for another one that runs at the same time", async () => {
    const made = [1, 2, 3].map((n) => modalProvider().create(specOf(`RUN sleep 0.2; echo ${n} > /made`)));
    for (const each of await Promise.all(made)) await each.terminate();
  });
});

modalTest(
  "a build tells its last line to all that wait for it, since it began, and has a time of its own",
  async () => {
    const provider = modalProvider({ limits: { createMs: 4_000 } });
    const recipe = "RUN printf '10%%\\r55%%\\r'; sleep 1.5; echo second; sleep 1.5; echo third; sleep 1.5";
    const told: CreationStep[][] = [[], []];
    const creating = [0, 1].map(async (index) => {
      const isFurther = () => told[0]?.some((step) => step.kind === "building" && step.line === "second") ?? false;
      if (index === 1) await until(isFurther, { what: "the first has seen the build go on" });
      return provider.create(specOf(recipe), undefined, (step) => told[index]?.push(step));
    });
    const made = await Promise.all(creating);
    const building = told.map((steps) => steps.flatMap((step) => (step.kind === "building" ? [step] : [])));
    expect(new Set(building[0]?.map(({ line }) => line))).toEqual(new Set([null, "55%", "second", "third"]));
    expect(building[1]?.map(({ line }) => line)).toContain("third");
    expect(new Set(building.flat().map(({ since, image }) => `${since} ${image}`)).size).toBe(1);
    const again: CreationStep[] = [];
    made.push(await provider.create(specOf(recipe), undefined, (step) => again.push(step)));
    expect(again.filter(({ kind }) => kind === "building")).toEqual([]);
    for (const each of made) await each.terminate();
  },
);

modalTest("a build that takes too long is not waited for, and not tried again by itself", async () => {
  const provider = modalProvider({ limits: { buildMs: 3_000 } });
  const failure = await failsWith(provider.create(specOf("RUN echo begun; sleep 6")));
  expect(failure).toMatchObject({ code: "sandbox_create_timeout", retryable: null });
  expect(failure.message).toMatch(/modal\.buildTimeoutMinutes.*Its last line: begun$/);
});

modalTest("a build goes on when the stream of its log breaks", async () => {
  await server().faults.add({ method: "ImageJoinStreaming", afterItems: 1, times: 2 });
  const sandbox = await modalProvider().create(specOf("RUN echo a; sleep 0.2; echo b; sleep 0.2"));
  await sandbox.terminate();
});
