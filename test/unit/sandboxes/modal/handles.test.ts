import { expect, test } from "bun:test";
import { firstFailure, missingHandle } from "../../../../src/sandboxes/modal/handles.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const grpc = (code: number, details: string) =>
  Object.assign(new Error(details), { name: "ClientError", code, details });
const NOT_FOUND = 5;
const PRECONDITION = 9;

test("what Modal no longer has is told apart by status and message, as one status means several things", () => {
  const conflict = (message: string) => Object.assign(new Error(message), { name: "ConflictError" });
  const found = [
    grpc(NOT_FOUND, "Could not find image with ID im-1"),
    grpc(PRECONDITION, "The snapshot of this sandbox has expired"),
    conflict("Could not find image with ID im-1"),
    grpc(NOT_FOUND, "App ap-1 not found"),
    grpc(NOT_FOUND, "nothing here"),
    grpc(PRECONDITION, "Sandbox sb-1 is not running."),
    grpc(PRECONDITION, "Workspace has reached its spend limit"),
    conflict("Sandbox sb-1 has already finished"),
    grpc(14, "image service unavailable, no longer reachable"),
  ].map(missingHandle);
  expect(found).toEqual(["image", "image", "image", "app", "unknown", null, null, null, null]);
});

test("a first command that only says its sandbox does not run is explained by why that has ended", async () => {
  const asked: string[] = [];
  const answer = (name: string, exception: string) => async () => {
    asked.push(name);
    return { result: { exception } };
  };
  const deps = { clock: createFakeClock(), log: () => {}, limits: { callMs: 1000 } } as never;
  const error = grpc(PRECONDITION, "Sandbox sb-1 is not running.");
  const explain = (id: string, exception: string, what: unknown = error) =>
    firstFailure(
      deps,
      { cpClient: { sandboxWait: answer("V1", exception), sandboxWaitV2: answer("V2", exception) } } as never,
      id,
      what,
    );
  const expired = "Could not find image with ID im-1";
  for (const id of ["sb-0123456789abcdefABCDEF", "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
    expect(missingHandle(await explain(id, expired))).toBe("image");
  expect(asked).toEqual(["V1", "V2"]);
  expect(await explain("sb-1", "its machine was taken away")).toBe(error);
  const outage = grpc(14, "no route");
  expect(await explain("sb-1", expired, outage)).toBe(outage);
  expect(asked.length).toBe(3);
});
