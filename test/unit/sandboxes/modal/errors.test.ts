import { describe, expect, test } from "bun:test";
import { askedOf } from "../../../../src/sandboxes/modal/asked-of-modal.ts";
import { createFailure } from "../../../../src/sandboxes/modal/create-failure.ts";
import { DEFAULT_MACHINE } from "../../../../src/sandboxes/modal/create-params.ts";
import { isRetryable, kindOf, messageOf } from "../../../../src/sandboxes/modal/modal-error.ts";
import { loadSdk, SDK_VERSION } from "../../../../src/sandboxes/modal/sdk.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { AbandonedError, DeadlineError, within } from "../../../../src/shared/time-limit.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

/** An error as the SDK throws it: of a class that another copy of a package defines. */
const grpc = (code: number, details = "said the server") =>
  Object.assign(new Error(`/modal.client.ModalClient/X CODE: ${details}`), { name: "ClientError", code, details });
const named = (name: string, message = "said the SDK") => Object.assign(new Error(message), { name });

const credentials = {
  kind: "token",
  tokenId: "ak",
  tokenSecret: "as-secret",
  source: "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET",
} as const;
const failureOf = (error: unknown, more: object = {}) =>
  createFailure(error, { doing: "create sandbox job_1", credentials, ...more });

describe("errors of the SDK", () => {
  test("are recognised by class name and status code", () => {
    const kinds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16].map((code) => kindOf(grpc(code)));
    expect(kinds.join(" ")).toBe(
      "unreachable unreachable invalid unreachable gone exists unauthorized quota other unreachable other other unreachable unreachable other unauthorized",
    );
    expect(
      [
        "NotFoundError",
        "ClientClosedError",
        "ConflictError",
        "AlreadyExistsError",
        "InvalidError",
        "ResourceExhaustedError",
        "TimeoutError",
        "SandboxTimeoutError",
      ]
        .map((name) => kindOf(named(name)))
        .join(" "),
    ).toBe("gone gone ended exists invalid capacity timed_out timed_out");
    expect(kindOf(named("constructor"))).toBe("other");
    expect(kindOf(Object.assign(new Error("x"), { code: 5 }))).toBe("other");
    expect(kindOf("a string")).toBe("other");
    expect(kindOf(new DeadlineError("Creating", 1000))).toBe("timed_out");
  });

  test("have messages without the gRPC method", () => {
    expect(messageOf(grpc(14, "no route"))).toBe("no route");
    expect(messageOf(new Error("x".repeat(5000))).length).toBeLessThan(700);
  });

  test("of unknown kinds have unknown retryability", () => {
    expect([isRetryable("other"), isRetryable("invalid"), isRetryable("unreachable")]).toEqual([null, false, true]);
  });
});

describe("the error of a failed creation says why it failed and what to do", () => {
  const table: [string, unknown, object, string, boolean | null, RegExp][] = [
    [
      "wrong or expired credentials",
      grpc(16),
      {},
      "sandbox_create_failed",
      false,
      /MODAL_TOKEN_ID and MODAL_TOKEN_SECRET.*modal setup/,
    ],
    ["no network", grpc(14), {}, "sandbox_create_failed", true, /network/],
    [
      "no such app or environment",
      named("NotFoundError"),
      { missing: "Check modal.environment." },
      "sandbox_create_failed",
      false,
      /Check modal.environment/,
    ],
    [
      "a sandbox that ended at once, with mounts",
      grpc(9, "Sandbox has already terminated"),
      {
        asked: askedOf({
          ...DEFAULT_MACHINE,
          buckets: { "/x": { bucket: "corpus", endpointUrl: null, keyPrefix: null, secret: null, readOnly: true } },
          volumes: {
            "/d": { name: "d", version: null, readOnly: false, subPath: "no/such", create: false },
            "/e": "e",
          },
        }),
      },
      "sandbox_create_failed",
      true,
      /already terminated\)\. What Modal cannot mount.*check "buckets" corpus and the "subPath" of "volumes" \/d\./,
    ],
    ["a limit of the workspace", grpc(8), {}, "no_capacity", true, /limit of the Modal workspace/],
    ["no capacity", named("ResourceExhaustedError"), { gpu: "H100:8" }, "no_capacity", true, /no H100:8 free/],
    [
      "an unknown type of GPU",
      grpc(3, "unknown GPU"),
      { gpu: "B300", asked: { place: [], mounts: [], all: ["the GPU B300"] } },
      "sandbox_create_failed",
      false,
      /unknown GPU\. The environment asks for the GPU B300: check/,
    ],
    [
      "a type of GPU that this workspace may not use",
      grpc(3, "GPU type B200 is not available for your workspace."),
      { gpu: "B200:8" },
      "no_capacity",
      false,
      /does not give this workspace B200:8 \(GPU type B200 is not available/,
    ],
    [
      "a type of GPU to which this workspace has no access",
      grpc(7, "Workspace does not have access to A100 GPUs."),
      { gpu: "A100-80GB" },
      "no_capacity",
      false,
      /^Modal does not give this workspace A100-80GB/,
    ],
    [
      "credentials that are refused without naming the GPU",
      grpc(7, "Token does not have access to this environment"),
      { gpu: "H100" },
      "sandbox_create_failed",
      false,
      /refused the credentials/,
    ],
    [
      "our time limit, without a GPU",
      new DeadlineError("Creating", 120_000),
      {},
      "sandbox_create_timeout",
      true,
      /120 s.*createTimeoutSeconds/,
    ],
    [
      "another time limit of ours",
      new DeadlineError("Creating", 120_000),
      { gpu: "T4", limit: "It cannot be changed." },
      "sandbox_create_timeout",
      true,
      /120 s\. It cannot be changed/,
    ],
    ["a cancelled creation", new AbandonedError("x"), {}, "cancelled", false, /Cancelled while trying to create/],
    ["an unknown error", new Error("odd"), {}, "sandbox_create_failed", null, /odd/],
  ];
  for (const [title, error, more, code, retryable, message] of table) {
    test(title, () => {
      const failure = failureOf(error, more);
      const text = failure.message;
      expect(failure).toMatchObject({ code, retryable });
      expect(text).toMatch(message);
      expect(text).not.toContain("as-secret");
    });
  }

  test("a PluginError is returned unchanged", () => {
    const own = new PluginError("snapshot_expired", "x");
    expect(failureOf(own)).toBe(own);
  });
});

describe("a deadline", () => {
  const clock = () => createFakeClock();

  test("passes on the result or the failure of a call that is in time", async () => {
    const limit = { clock: clock(), limitMs: 100, doing: "It" };
    expect(await within(Promise.resolve(7), limit)).toBe(7);
    expect(within(Promise.reject(new Error("own")), limit)).rejects.toThrow("own");
  });

  test("ends the wait, and hands a late result to onLate", async () => {
    const fake = clock();
    const late: number[] = [];
    const call = Promise.withResolvers<number>();
    const waiting = within(call.promise, {
      clock: fake,
      limitMs: 5000,
      doing: "It",
      onLate: (value) => late.push(value),
    });
    waiting.catch(() => {});
    await fake.advance(5000);
    expect(waiting).rejects.toThrow("It took longer than 5 s");
    call.resolve(7);
    await call.promise;
    await Promise.resolve();
    expect(late).toEqual([7]);
  });

  test("ignores a late failure", async () => {
    const fake = clock();
    const call = Promise.withResolvers<number>();
    const waiting = within(call.promise, { clock: fake, limitMs: 10, doing: "It" });
    waiting.catch(() => {});
    await fake.advance(10);
    call.reject(new Error("late"));
    expect(waiting).rejects.toBeInstanceOf(DeadlineError);
  });

  test("rejects as soon as the caller aborts, also when aborted before the call", async () => {
    const stop = new AbortController();
    const waiting = within(new Promise(() => {}), { clock: clock(), limitMs: 10, doing: "It", signal: stop.signal });
    waiting.catch(() => {});
    stop.abort();
    expect(waiting).rejects.toBeInstanceOf(AbandonedError);
    expect(
      within(new Promise(() => {}), { clock: clock(), limitMs: 10, doing: "It", signal: stop.signal }),
    ).rejects.toBeInstanceOf(AbandonedError);
  });
});

describe("the package named modal", () => {
  const client = (version: string) => ({ ModalClient: class { version() { return version; } } }); // biome-ignore format: short

  test("is accepted if it is Modal's SDK in the exact version", async () => {
    const sdk = client(SDK_VERSION);
    expect(await loadSdk(async () => sdk)).toBe(sdk as never);
    expect(typeof (await loadSdk()).ModalClient).toBe("function");
  });

  test("is refused in one sentence if it is missing, another package or another version", async () => {
    for (const [module, words] of [
      [{ default: () => {} }, "not Modal's SDK"],
      [client("0.12.0"), "0.12.0"],
      [null, "not Modal's SDK"],
    ] as const) {
      expect(loadSdk(async () => module)).rejects.toMatchObject({
        code: "sandbox_create_failed",
        retryable: false,
        message: expect.stringContaining(words),
      });
    }
    expect(loadSdk(() => Promise.reject(new Error("Cannot find package")))).rejects.toMatchObject({
      message: expect.stringContaining(`modal@${SDK_VERSION}`),
    });
  });
});
