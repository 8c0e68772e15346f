import { afterEach, describe, expect } from "bun:test";
import type { Options } from "../../src/config/schema.ts";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { MachineSpec, SandboxProvider } from "../../src/sandboxes/port.ts";
import { PluginError } from "../../src/shared/error-code.ts";
import type { Fault } from "../support/modal-server/faults.ts";
import { modalTest } from "../support/modal-test.ts";
import { MODAL_OPTIONS, modalProvider, useModalServer } from "./modal-support.ts";

/*
 * What a user may get wrong in his options, and what Modal may refuse him: each has a sentence of its own that names what is
 * wrong and what to do, and no sandbox is left.
 */

const BUCKET = { bucket: "b", endpointUrl: null, keyPrefix: null, secret: null, readOnly: true };
const T4 = { type: "T4", count: 1, exact: false };
const R2 = "https://acc.r2.cloudflarestorage.com";
const GCS = "https://storage.googleapis.com";

const modal = useModalServer({
  environments: ["main"],
  volumes: { data: 2, "image-cache": 1 },
  buckets: ["corpus"],
  secrets: { hf: { HF_TOKEN: "x" }, aws: { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" } },
  pulls: {
    "debian:gone": { missing: true },
    "ghcr.io/me/private": { auth: "static", keys: ["REGISTRY_USERNAME"] },
  },
  regions: ["eu", "us"],
  gpus: { H200: 0 },
});
const open: SandboxProvider[] = [];
let count = 0;

afterEach(async () => {
  await modal().faults.clear();
  for (const each of open.splice(0)) await each.close();
});

interface Wrong {
  readonly machine?: Partial<MachineSpec>;
  readonly options?: Partial<Options["modal"]>;
  readonly secret?: string;
  readonly fault?: Fault;
  readonly code?: string;
  readonly retryable?: boolean;
  readonly says: RegExp;
  /** Names that are right, so that the sentence must not mention them. */
  readonly spares?: readonly string[];
}

const refused = (method: string, code: number, message: string): Fault => ({ method, code, message, times: 100 });

const WRONG: Readonly<Record<string, Wrong>> = {
  "a token whose secret is wrong": {
    secret: "as-wrong",
    says: /refused the credentials of my file.*Run "modal setup"/s,
  },
  "an environment that does not exist": {
    options: { environment: "prod" },
    says: /environment "prod".*modal\.environment.*modal environment create prod/s,
  },
  "an app that cannot be made": {
    fault: refused("AppGetOrCreate", 3, "Invalid app name: my app"),
    says: /find the Modal app "contract".*Invalid app name/s,
  },
  "one secret of several that does not exist": {
    machine: { secrets: ["hf", "wandb"] },
    says: /The Modal secret "wandb".*modal secret list.*modal secret create wandb/s,
    spares: ["hf"],
  },
  "one volume of several that does not exist": {
    machine: { volumes: { "/data": "data", "/runs": "rnus" } },
    says: /The Modal volume "rnus".*\/runs.*modal volume create rnus.*"create": true/s,
    spares: ['"data"'],
  },
  "a volume whose name speaks of images": {
    machine: { volumes: { "/x": "image-cahce" } },
    says: /The Modal volume "image-cahce"/,
  },
  "one bucket of several that does not exist": {
    machine: {
      buckets: { "/ok": { ...BUCKET, bucket: "corpus" }, "/x": { ...BUCKET, bucket: "copus", secret: "aws" } },
    },
    says: /The bucket "copus".*\/x.*exists under this name.*AWS_ACCESS_KEY_ID.*"aws"/s,
    spares: ["corpus"],
  },
  "a bucket that needs credentials and has none": {
    machine: { buckets: { "/x": { ...BUCKET, bucket: "secret-bucket", endpointUrl: R2 } } },
    says: /The bucket "secret-bucket".*no "secret".*AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/s,
  },
  "a bucket whose secret is of another kind": {
    machine: { buckets: { "/x": { ...BUCKET, bucket: "corpus", endpointUrl: GCS, secret: "aws" } } },
    says: /The Modal secret "aws", which.*bucket "corpus" at \/x, does not have all of GOOGLE_ACCESS_KEY_ID and GOOGLE_ACCESS_KEY_SECRET.*missing key.*replace the secret with "modal secret create --force aws/s,
  },
  "a bucket that Modal refuses by its name": {
    machine: { buckets: { "/x": { ...BUCKET, bucket: "Not A Bucket" } } },
    says: /Invalid bucket name.*"buckets" "?Not A Bucket/s,
  },
  "a proxy that does not exist": {
    machine: { proxy: "office" },
    says: /The Modal proxy "office".*workspace's settings/s,
  },
  "a tag that its registry does not have": {
    machine: { image: "debian:gone" },
    says: /has no image debian:gone.*"image"/s,
  },
  "an image that copies files of the project": {
    machine: { image: { base: null, dockerfile: ["RUN true", "copy requirements.txt /app/"] } },
    says: /"copy requirements\.txt \/app\/" copies files of the project.*"setup".*COPY --from/s,
  },
  "an image that adds files of the project": {
    machine: { image: { base: null, dockerfile: ["ADD . /app/"] } },
    says: /"ADD \. \/app\/" copies files of the project/,
  },
  "a tag that is private": {
    machine: { image: "ghcr.io/me/private" },
    says: /does not give ghcr\.io\/me\/private to everyone.*"imageSecret".*REGISTRY_USERNAME/s,
  },
  "an image id that Modal does not have": {
    machine: { image: "im-0000" },
    says: /im-0000 does not exist at Modal.*"from".*"image"/s,
  },
  "a published image that does not exist": {
    machine: { image: "modal://nobody" },
    says: /published at Modal as nobody/,
  },
  "a GPU that Modal does not have": {
    machine: { gpu: { type: "B300", count: 1, exact: false } },
    code: "no_capacity",
    says: /does not give this workspace B300 \(.*Unknown GPU type: B300/s,
  },
  "more GPUs than a container has": {
    machine: { gpu: { type: "A10", count: 8, exact: false } },
    code: "no_capacity",
    says: /does not give this workspace A10:8 \(.*1 to 4 per container/s,
  },
  "a region that does not exist": {
    machine: { regions: ["eu", "mars"] },
    says: /Invalid region: mars.*"regions" eu, mars/s,
  },
  "a region without the GPU": {
    machine: { gpu: { ...T4, type: "H200" }, regions: ["eu"], cloud: "oci" },
    code: "no_capacity",
    retryable: true,
    says: /H200.*"regions" eu and "cloud" oci/s,
  },
  "a spend limit that is reached": {
    fault: refused("SandboxCreateV2", 8, "workspace billing cycle spend limit reached"),
    says: /reached its spend limit.*Raise the limit/s,
  },
  "a runtime that the workspace may not use": {
    machine: { runtime: "vm" },
    fault: refused("SandboxCreateV2", 7, "VM sandboxes are not enabled"),
    says: /VM sandboxes are not enabled.*may not use all of "runtime" vm/s,
  },
};

describe("what is wrong is named, with the remedy:", () => {
  for (const [
    title,
    { machine, options, secret, fault, code = "sandbox_create_failed", retryable = false, says, spares },
  ] of Object.entries(WRONG)) {
    modalTest(title, async () => {
      if (fault) await modal().faults.add(fault);
      const { MODAL_TOKEN_ID: tokenId = "", MODAL_TOKEN_SECRET: tokenSecret = "" } = process.env;
      const provider = modalProvider({
        options: { ...MODAL_OPTIONS, ...options },
        credentials: { kind: "token", tokenId, tokenSecret: secret ?? tokenSecret, source: "my file" },
        limits: code === "no_capacity" ? { gpuWaitMs: 1_000 } : {},
      });
      open.push(provider);
      const made = provider.create({
        name: `wrong-${count++}`, tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
        machine: { ...DEFAULT_MACHINE, ...machine },
      }); // biome-ignore format: a table
      const failure = await made.then(
        () => null,
        (error: unknown) => error,
      );
      if (!(failure instanceof PluginError)) throw new Error(`expected an error, got ${failure}`);
      expect(failure.code as string).toBe(code);
      expect(failure.retryable).toBe(retryable);
      expect(failure.message).toMatch(says);
      for (const name of spares ?? []) expect(failure.message).not.toContain(name);
      await provider.close();
      expect(await modal().sandboxes({ live: true })).toEqual([]);
    });
  }
});
