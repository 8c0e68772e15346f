import { describe, expect, test } from "bun:test";
import { optionsOf, problemsOf } from "./load-with.ts";

const environment = (given: object) => ({ tuple: { environments: { big: given } } });

describe("volumes and buckets", () => {
  test("may be named alone or with options, and buckets are read-only unless said otherwise", async () => {
    const { environments } = await optionsOf(
      environment({
        volumes: { "/data": "corpus", "/runs": { name: "runs", version: 1 } },
        buckets: { "/mnt/x": { bucket: "a" }, "/mnt/y": { bucket: "b", readOnly: false } },
      }),
    );
    expect(environments.big).toMatchObject({
      volumes: {
        "/data": "corpus",
        "/runs": { name: "runs", version: 1, readOnly: false, subPath: null, create: false },
      },
      buckets: { "/mnt/x": { readOnly: true }, "/mnt/y": { readOnly: false } },
    });
  });

  test.each([
    [{ volumes: { "/data": "" } }, "volumes./data", "the name of a Modal volume"],
    [{ volumes: { "/data": { name: "d", version: 3 } } }, "volumes./data", '"version"?: 1 or 2'],
    [{ volumes: { "/data": { name: "d", readonly: true } } }, "volumes./data", '"readOnly"?'],
    [{ volumes: { "/data": { name: "d", subPath: "../other" } } }, "volumes./data.subPath", "without"],
    [{ volumes: { data: "d" } }, "volumes.data", "an absolute path"],
    [{ volumes: { "/workspace": "d" } }, "volumes./workspace", "apart from the work directory"],
    [{ volumes: { "/workspace/data/": "d" } }, "volumes./workspace/data/", "apart from the work directory"],
    [{ volumes: { "/work": "d" }, workdir: "/work/tree" }, "volumes./work", "apart from the work directory /work/tree"],
    [{ buckets: { "/workspace/x": { bucket: "b" } } }, "buckets./workspace/x", "apart from the work directory"],
    [{ volumes: { "/x": "d" }, buckets: { "/x": { bucket: "b" } } }, "buckets./x", "no volume is mounted"],
    [{ buckets: { "/x": { bucket: "b", endpointUrl: "r2" } } }, "buckets./x.endpointUrl", 'begins with "https://"'],
  ])("%j is refused with what is allowed", async (given, key, allowed) => {
    const [problem, ...others] = await problemsOf(environment(given));
    expect(others).toEqual([]);
    expect(problem?.key).toBe(`environments.big.${key}`);
    expect(problem?.allowed).toContain(allowed);
  });

  test("may be beside the work directory", async () => {
    await optionsOf(environment({ volumes: { "/workspace-data": "d" }, workdir: "/workspace" }));
  });
});
