import { z } from "zod";
import { type EnvironmentRecord, type EnvironmentUse, NOTHING_BUILT } from "../../core/environment-image.ts";
import { ERROR_CODES } from "../../shared/error-code.ts";
import type { Database } from "./database.ts";
import { providerName } from "./job-record.ts";
import { json, type RowReader, type RowSchema } from "./rows.ts";

/** What is known of environments' images, over all processes. */
export interface EnvironmentStore {
  /** Only reads. */
  environment(key: string): EnvironmentRecord;
  /** The keys of all that is recorded. */
  environmentKeys(): string[];
  /**
   * Changes a record in one transaction. `change` gives the new record, the same one if it stays and null if none is to be
   * kept, and what to return.
   */
  changeEnvironment<T>(
    key: string,
    change: (record: EnvironmentRecord) => { readonly record: EnvironmentRecord | null; readonly result: T },
  ): T;
  saveEnvironmentUse(use: EnvironmentUse): void;
  environmentUses(): EnvironmentUse[];
  deleteEnvironmentUses(key: string): void;
}

export const ENVIRONMENT_TABLES = [
  "environment_images (key TEXT PRIMARY KEY, record TEXT NOT NULL)",
  `environment_uses (slot TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, used_at INTEGER NOT NULL,
     PRIMARY KEY (slot, key, owner))`,
];

const tree = z.object({
  commit: z.string(),
  emptyFolders: z.array(z.string()).default([]),
  form: z.enum(["repository", "files"]),
  identity: z.object({ name: z.string(), email: z.string() }),
});

const image = z.object({
  snapshotID: z.string(),
  provider: providerName,
  tree: tree.nullable().default(null),
  builtAt: z.number(),
  expiresAt: z.number().nullable().default(null),
  tookMs: z.number().default(0),
  usd: z.number().default(0),
  notes: z.array(z.string()).default([]),
});

const failed = z.object({
  at: z.number(),
  failure: z.object({ code: z.enum(ERROR_CODES), message: z.string(), retryable: z.boolean().nullable() }),
});

const build = z.object({
  id: z.string(),
  owner: z.string(),
  since: z.number(),
  renewedAt: z.number(),
  sandboxID: z.string().nullable().default(null),
  step: z.number().default(0),
  of: z.number().default(0),
  command: z.string().default(""),
});

/** A part that cannot be read is as if it were not there: an image is built anew. */
const record = z.object({
  image: image.nullable().catch(null),
  former: image.nullable().catch(null),
  failed: failed.nullable().catch(null),
  build: build.nullable().catch(null),
});

const imageRow: RowSchema<EnvironmentRecord> = z
  .object({ key: z.string(), record: json(record) })
  .transform(({ record }) => record);
const keyRow = z.object({ key: z.string() });
const useRow: RowSchema<EnvironmentUse> = z.object({
  slot: z.string(),
  key: z.string(),
  owner: z.string(),
  usedAt: z.number(),
});

const IMAGES = "SELECT key, record FROM environment_images";
const USES = "SELECT slot, key, owner, used_at AS usedAt FROM environment_uses";

export function checkEnvironmentRows(rows: RowReader): void {
  rows.all(imageRow, IMAGES);
  rows.all(useRow, USES);
}

export function createEnvironmentStore(database: Database): EnvironmentStore {
  const read = (key: string) => database.get(imageRow, `${IMAGES} WHERE key = ?`, key) ?? NOTHING_BUILT;
  return {
    environment: read,
    environmentKeys: () =>
      database
        .all(keyRow, "SELECT key FROM environment_images UNION SELECT key FROM environment_uses")
        .map(({ key }) => key),
    changeEnvironment: (key, change) =>
      database.transaction(() => {
        const before = read(key);
        const { record: changed, result } = change(before);
        if (changed === before) return result;
        if (changed === null) database.run("DELETE FROM environment_images WHERE key = ?", key);
        else
          database.run(
            "INSERT OR REPLACE INTO environment_images (key, record) VALUES (?, ?)",
            key,
            JSON.stringify(changed),
          );
        return result;
      }),
    saveEnvironmentUse: ({ slot, key, owner, usedAt }) =>
      database.run(
        "INSERT OR REPLACE INTO environment_uses (slot, key, owner, used_at) VALUES (?, ?, ?, ?)",
        slot,
        key,
        owner,
        usedAt,
      ),
    environmentUses: () => database.all(useRow, USES),
    deleteEnvironmentUses: (key) => database.run("DELETE FROM environment_uses WHERE key = ?", key),
  };
}
