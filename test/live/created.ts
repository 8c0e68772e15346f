import type { App, Image, ModalClient, Sandbox } from "modal";
import { kindOf, messageOf } from "../../src/sandboxes/modal/modal-error.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { within } from "../../src/shared/time-limit.ts";

const CALL_MS = 60_000;
/** @source Modal's `AppStopSource` for its command line */
const BY_A_USER = 1;

/** What a run has created at Modal, so that all of it can be removed and reported. */
export class Created {
  readonly sandboxes = new Map<string, Sandbox>();
  readonly images = new Set<string>();
  /** Names. */
  readonly volumes = new Set<string>();

  /**
   * Removes everything, and stops the app, which ends any sandbox whose creation nobody has seen.
   * @returns what is left, with the reason
   */
  async removeAll(client: ModalClient, app: App): Promise<string[]> {
    const left: string[] = [];
    const remove = async (what: string, call: () => Promise<unknown>) => {
      try {
        await within(call(), { clock: systemClock, limitMs: CALL_MS, doing: `Removing ${what}` });
      } catch (error) {
        if (kindOf(error) !== "gone") left.push(`${what} (${messageOf(error)})`);
      }
    };
    await remove("the sandboxes of the app", async () => {
      for await (const sandbox of client.sandboxes.list({ appId: app.appId }))
        this.sandboxes.set(sandbox.sandboxId, sandbox);
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
