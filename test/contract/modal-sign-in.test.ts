import { expect } from "bun:test";
import { modalTest } from "../support/modal-test.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";

useModalServer();

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
