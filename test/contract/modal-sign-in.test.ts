import { expect } from "bun:test";
import type { Credentials } from "../../src/sandboxes/modal/credentials.ts";
import { modalTest } from "../support/modal-test.ts";
import { MODAL_OPTIONS, modalProvider, useModalServer } from "./modal-support.ts";

const modal = useModalServer();

modalTest("no error shows credentials that cannot be sent", async () => {
  const provider = modalProvider({
    credentials: { kind: "token", tokenId: "ak-test", tokenSecret: "as-very\nSECRET", source: "the test" },
  });
  const failure = await provider.list().then(
    () => null,
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ message: expect.stringContaining("[hidden]") });
  expect(Bun.inspect(failure)).not.toContain("SECRET");
  await provider.close();
});

const spec = (name: string) => ({
  name, tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open" as const,
}); // biome-ignore format: one argument

modalTest("a token for calls that is over too early is replaced, whatever is being done", async () => {
  const provider = modalProvider();
  await provider.list();
  const signIns = async () => (await modal().calls()).filter(({ method }) => method === "AuthTokenGet").length;
  const before = await signIns();
  for (const method of ["ImageGetOrCreate", "SandboxCreateV2", "SandboxTerminateV2", "SandboxListV2"])
    await modal().faults.add({ method, code: 16, message: "Auth token has expired." });
  const sandbox = await provider.create(spec("expired"));
  await sandbox.terminate();
  expect(await provider.list()).toEqual([]);
  expect(await signIns()).toBe(before + 4);
  await provider.close();
});

modalTest("a call that is refused again is not made for ever", async () => {
  const provider = modalProvider();
  const before = (await modal().calls()).length;
  await modal().faults.add({ method: "SandboxCreateV2", code: 16, message: "No.", times: 100 });
  await expect(provider.create(spec("refused"))).rejects.toMatchObject({
    code: "sandbox_create_failed",
    retryable: false,
    message: expect.stringContaining("clock of this machine"),
  });
  expect((await modal().calls()).slice(before).filter(({ method }) => method === "SandboxCreateV2").length).toBe(2);
  await modal().faults.clear();
  await provider.close();
});

modalTest("credentials that the user has renewed are used without another start", async () => {
  const { tokenId, tokenSecret } = { tokenId: "ak-test", tokenSecret: "as-test" };
  let now = { kind: "token", tokenId, tokenSecret: "as-revoked", source: 'profile "old"' } as const as Credentials;
  const provider = modalProvider({ credentials: now, readCredentials: () => now });
  await expect(provider.list()).rejects.toThrow("wrong");
  now = { kind: "token", tokenId, tokenSecret: "as-wrong-too", source: 'profile "new"' };
  await expect(provider.create(spec("wrong"))).rejects.toThrow('credentials of profile "new"');
  now = { kind: "token", tokenId, tokenSecret, source: 'profile "new"' };
  await (await provider.create(spec("renewed"))).terminate();
  await provider.close();
});

modalTest("the environment of the user's profile is used unless the options name another one", async () => {
  const credentials = {
    kind: "token", tokenId: "ak-test", tokenSecret: "as-test", source: "the test", settings: { environment: "dev" },
  } as const; // biome-ignore format: one object
  const environmentsFor = async (environment: string | null) => {
    const before = (await modal().calls()).length;
    const provider = modalProvider({ credentials, options: { ...MODAL_OPTIONS, environment } });
    await provider.list().catch(() => {});
    await provider.close();
    const calls = (await modal().calls()).slice(before).filter(({ method }) => method === "AppGetOrCreate");
    return calls.map(({ request }) => request.environmentName);
  };
  expect(await environmentsFor(null)).toEqual(["dev"]);
  expect(await environmentsFor("main")).toEqual(["main"]);
});
