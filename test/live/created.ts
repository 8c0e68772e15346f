import type { App, Image, ModalClient, Sandbox } from "modal";
import { defaultOptions } from "../../src/config/schema.ts";
import { toLimits } from "../../src/sandboxes/modal/limits.ts";
import { listSandboxes } from "../../src/sandboxes/modal/listing.ts";
import { kindOf, messageOf } from "../../src/sandboxes/modal/modal-error.ts";
import { sleep, systemClock } from "../../src/shared/clock.ts";
import { within } from "../../src/shared/time-limit.ts";
import type { Scale } from "./live-check.ts";

const CALL_MS = 60_000;
/** Waits between the attempts to remove something. */
const RETRY_S = [1, 4];
/** For creations that were under way when the run was stopped. One that waits for a GPU longer than this is in the listing. */
const PENDING_S = 10;
/** @source Modal's `AppStopSource` for its command line */
const BY_A_USER = 1;

/** What a run has created at Modal, so that all of it can be removed and reported. */
export class Created {
  readonly sandboxes = new Map<string, Sandbox>();
  readonly images = new Set<string>();
  /** Names. */
  readonly volumes = new Set<string>();
  readonly #pending = new Set<Promise<unknown>>();

  /** Takes a creation that is under way: removing waits for it for a while, also when nobody else does any more. */
  expect(creating: Promise<Sandbox | Image>): void {
    const settled = creating.then(
      (created) => this.add(created),
      () => {},
    );
    this.#pending.add(settled);
    void settled.finally(() => this.#pending.delete(settled));
  }

  /**
   * Removes everything, and stops the app, which ends any sandbox whose creation nobody has seen.
   * @returns what is left, with the reason
   */
  async removeAll(client: ModalClient, app: App, { secondMs }: Pick<Scale, "secondMs">): Promise<string[]> {
    const left: string[] = [];
    const remove = async (what: string, call: () => Promise<unknown>) => {
      for (let attempt = 0; ; attempt += 1) {
        try {
          return void (await within(call(), { clock: systemClock, limitMs: CALL_MS, doing: `Removing ${what}` }));
        } catch (error) {
          const delayS = RETRY_S[attempt];
          if (kindOf(error) === "gone") return;
          if (delayS === undefined) return void left.push(`${what} (${messageOf(error)})`);
          await sleep(systemClock, delayS * secondMs);
        }
      }
    };
    await Promise.race([Promise.all(this.#pending), sleep(systemClock, PENDING_S * secondMs)]);
    await remove("the sandboxes of the app", async () => {
      const deps = { clock: systemClock, log: () => {}, limits: toLimits(defaultOptions("/").modal) };
      for (const { id } of await listSandboxes(client, app.appId, null, deps))
        if (!this.sandboxes.has(id)) this.sandboxes.set(id, await client.sandboxes.fromId(id));
    });
    await Promise.all(
      [...this.sandboxes].map(async ([id, sandbox]) => {
        await remove(`sandbox ${id}`, async () => (await client.sandboxes.fromId(id)).terminate());
        sandbox.detach();
      }),
    );
    await Promise.all([...this.images].map((id) => remove(`image ${id}`, () => client.images.delete(id))));
    await Promise.all([...this.volumes].map((name) => remove(`volume ${name}`, () => client.volumes.delete(name))));
    await remove(`app ${app.name} (stop it with "modal app stop ${app.name}")`, () =>
      client.cpClient.appStop({ appId: app.appId, source: BY_A_USER }),
    );
    return left;
  }

  add(created: Sandbox | Image): void {
    if ("sandboxId" in created) this.sandboxes.set(created.sandboxId, created);
    else this.images.add(created.imageId);
  }

  describe(): string {
    return `${this.sandboxes.size} sandboxes, ${this.images.size} images and snapshots, ${this.volumes.size} volumes`;
  }
}
