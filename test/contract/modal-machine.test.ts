import { afterEach, describe, expect } from "bun:test";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { MachineSpec, Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { connect } from "../support/modal-server/client.ts";
import { modalTest } from "../support/modal-test.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { sh } from "./sandbox-shell.ts";

/* What a machine starts from and where it runs, with the real SDK: private and published images, proxy, cloud, runtime. */

const ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/train:v1";
const GCP = "europe-west4-docker.pkg.dev/project/repo/train:v1";
const ACR = "team.azurecr.io/train@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const GHCR = "ghcr.io/team/train:v1";

const modal = useModalServer({
  proxies: ["office"],
  secrets: {
    aws: { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" },
    gcp: { SERVICE_ACCOUNT_JSON: "{}" },
    registry: { REGISTRY_USERNAME: "me", REGISTRY_PASSWORD: "pw" },
  },
  pulls: {
    [ECR]: { auth: "aws", keys: ["AWS_ACCESS_KEY_ID"] },
    [GCP]: { auth: "gcp", keys: ["SERVICE_ACCOUNT_JSON"] },
    [GHCR]: { auth: "static", keys: ["REGISTRY_USERNAME"] },
    [ACR]: { auth: "static", keys: ["REGISTRY_USERNAME"] },
    "debian:no-such-tag": { missing: true },
  },
});
const open: SandboxProvider[] = [];
let count = 0;

afterEach(async () => {
  for (const each of open.splice(0)) {
    for (const { id } of await each.list()) await each.terminate(id);
    await each.close();
  }
});

function create(machine: Partial<MachineSpec>): Promise<Sandbox> {
  const provider = modalProvider();
  open.push(provider);
  return provider.create({
    name: `machine-${count++}`, tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
    machine: { ...DEFAULT_MACHINE, ...machine },
  }); // biome-ignore format: a table
}

const failureOf = (machine: Partial<MachineSpec>): Promise<{ code?: string; retryable?: boolean; message: string }> =>
  create(machine).then(
    () => ({ message: "it was created" }),
    (error) => error,
  );

describe("a private image", () => {
  modalTest.each([
    [GHCR, "registry"],
    [ACR, "registry"],
    [ECR, "aws"],
    [GCP, "gcp"],
  ])("of %s is pulled with the secret of its registry", async (image, imageSecret) => {
    expect((await sh(await create({ image, imageSecret }), "echo up")).stdout).toBe("up\n");
    await create({ image: { base: image, dockerfile: ["RUN true"] }, imageSecret });
  });

  modalTest("leaves its secret out of the sandbox, which has those of the job", async () => {
    const sandbox = await create({ image: GHCR, imageSecret: "registry", secrets: ["gcp"] });
    expect((await sh(sandbox, "env | grep -c ^SERVICE_ACCOUNT_JSON; env | grep -c ^REGISTRY_")).stdout).toBe("1\n0\n");
  });

  modalTest.each<[string, Partial<MachineSpec>, RegExp]>([
    ["without a secret", { image: GHCR }, /does not give ghcr\.io\/team\/train:v1 to everyone.*"imageSecret".*REGISTRY_USERNAME and REGISTRY_PASSWORD.*unauthorized/s],
    ["without a secret, at AWS", { image: ECR }, /"imageSecret".*AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/s],
    ["with a secret that does not exist", { image: GHCR, imageSecret: "regisrty" }, /secret "regisrty".*for the image ghcr\.io.*modal secret create regisrty REGISTRY_USERNAME=…/s],
    ["with a secret of another kind", { image: GHCR, imageSecret: "aws" }, /secret "aws".*does not have all of REGISTRY_USERNAME.*missing key/s],
    ["that does not exist", { image: "debian:no-such-tag" }, /has no image debian:no-such-tag.*"image".*manifest unknown/s],
    ["with a secret for an image of the account", { image: "im-123", imageSecret: "aws" }, /"imageSecret" "aws" is for images of a registry/],
  ])("%s is refused with the remedy", async (_title, machine, says) => {
    const failure = await failureOf(machine);
    expect(failure).toMatchObject({ code: "sandbox_create_failed", retryable: false });
    expect(failure.message).toMatch(says);
  }); // biome-ignore format: a table

  modalTest("whose build fails for another reason is not blamed on the registry", async () => {
    const failure = await failureOf({
      image: { base: GHCR, dockerfile: ["RUN echo not found >&2; false"] },
      imageSecret: "registry",
    });
    expect(failure.message).not.toContain("registry");
  });
});

describe("a published image", () => {
  modalTest("is found by its name and tag, also as the base of another", async () => {
    const { modal: client, app, image } = await connect(modal());
    const built = await image.dockerfileCommands(["RUN echo v2 > /version"]).build(app);
    await built.publish("train:v2");
    client.close();
    expect((await sh(await create({ image: "modal://train:v2" }), "cat /version")).stdout).toBe("v2\n");
    const more = await create({ image: { base: "modal://train:v2", dockerfile: ["RUN echo more >> /version"] } });
    expect((await sh(more, "cat /version")).stdout).toBe("v2\nmore\n");
  });

  modalTest("that does not exist, or cannot, is named", async () => {
    expect((await failureOf({ image: "modal://train:v9" })).message).toMatch(
      /published at Modal as train:v9.*"image"/s,
    );
    expect((await failureOf({ image: "modal://a b" })).message).toMatch(/modal:\/\/a b.*Invalid Image name/s);
  });
});

modalTest("proxy, cloud and runtime are asked for, and a proxy that does not exist is named", async () => {
  await create({ proxy: "office", cloud: "aws", runtime: "vm", regions: ["eu"] });
  const { request } = (await modal().calls()).findLast(({ method }) => method === "SandboxCreateV2") as never as {
    request: object;
  };
  expect(request).toMatchObject({
    definition: {
      proxyId: expect.stringMatching(/^pr-/),
      cloudProviderStr: "aws",
      runtime: "vm",
      schedulerPlacement: { regions: ["eu"] },
    },
  });
  const failure = await failureOf({ proxy: "ofice" });
  expect(failure).toMatchObject({ code: "sandbox_create_failed", retryable: false });
  expect(failure.message).toMatch(/The Modal proxy "ofice".*workspace's settings/s);
});
