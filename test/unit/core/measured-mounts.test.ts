import { expect, test } from "bun:test";
import { environmentSchema } from "../../../src/config/environment.ts";
import { writtenMountNotes } from "../../../src/core/measured-mounts.ts";

const notes = (job: object, measuring: object) =>
  writtenMountNotes("job_1", environmentSchema.parse(job), environmentSchema.parse(measuring));

test("names what a job could write to and its measurement has too, wherever and however it has it", () => {
  const job = {
    volumes: {
      "/data": "tests",
      "/cache": { name: "hub" },
      "/own": "job-only",
      "/fixed": { name: "f", readOnly: true },
    },
    buckets: { "/mnt/w": { bucket: "writable", readOnly: false }, "/mnt/r": { bucket: "read" } },
  };
  const measuring = {
    volumes: { "/answers": { name: "tests", readOnly: true }, "/fixed": "f", "/new": "benchmark-only" },
    buckets: { "/mnt/a": { bucket: "writable" }, "/mnt/r": { bucket: "read" } },
  };
  const [note, ...more] = notes(job, measuring);
  expect(more).toEqual([]);
  expect(note).toContain("job_1 could write to");
  expect(note).toContain("the volume tests at /answers, the bucket writable at /mnt/a.");
  for (const other of ["hub", "job-only", "/fixed", "benchmark-only", "/mnt/r"]) expect(note).not.toContain(other);
  expect(notes(job, job)[0]).toContain("/cache");
});

test("says nothing where there is nothing of the kind", () => {
  expect(notes({}, {})).toEqual([]);
  expect(notes({ volumes: { "/d": { name: "v", readOnly: true } } }, { volumes: { "/d": "v" } })).toEqual([]);
  const elsewhere = { bucket: "b", endpointUrl: "https://r2.example", readOnly: false };
  expect(notes({ buckets: { "/m": elsewhere } }, { buckets: { "/m": { bucket: "b" } } })).toEqual([]);
});
