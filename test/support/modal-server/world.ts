import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Behaviour, behaviourOf } from "./behaviour.ts";
import { jwt, prefixedId } from "./ids.ts";
import { ImageStore } from "./images.ts";
import type { SecretSource } from "./messages.ts";
import type { ModalServerOptions } from "./options.ts";
import { CreationRate, Pace } from "./pace.ts";
import { refuse } from "./refusal.ts";
import { removeTree } from "./root-tree.ts";
import type { ModalSandbox } from "./sandbox.ts";
import { Turns } from "./volumes.ts";

/** The server's state: one workspace of one account, empty at first. */
export class World {
  readonly folder: string;
  readonly options: ModalServerOptions;
  readonly secondMs: number;
  readonly behaviour: Behaviour;
  readonly pace: Pace;
  creationRate: CreationRate;
  readonly images: ImageStore;
  /** By name. */
  readonly apps = new Map<string, string>();
  readonly secrets = new Map<string, Readonly<Record<string, string>>>();
  readonly secretNames = new Map<string, string>();
  /** Ids by name. */
  readonly volumes = new Map<string, string>();
  readonly volumeTurns = new Turns();
  /** By id. */
  readonly volumeVersions = new Map<string, number>();
  /** Ids by name. */
  readonly proxies = new Map<string, string>();
  /** Image ids by published name, such as "main/base:latest". */
  readonly published = new Map<string, string>();
  readonly sandboxes = new Map<string, ModalSandbox>();
  readonly tasks = new Map<string, ModalSandbox>();
  readonly gpus: Map<string, number>;
  workspaceLimit: number;
  /** Whether the workspace's money is spent. */
  spent = false;
  routerUrl = "";
  readonly #authTokens = new Set<string>();
  #routerTokens = new Map<string, { readonly taskId: string; readonly expiresAt: number }>();
  #lastMoment = 0;

  constructor(options: ModalServerOptions) {
    this.options = options;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "modal-server-"));
    this.secondMs = options.secondMs ?? 1000;
    this.behaviour = behaviourOf(options);
    this.pace = new Pace(this.behaviour);
    this.creationRate = new CreationRate(this.behaviour);
    this.images = new ImageStore(join(this.folder, "images"), this.behaviour, this.pace);
    this.gpus = new Map(Object.entries(options.gpus ?? {}));
    this.workspaceLimit = options.workspaceLimit ?? Number.POSITIVE_INFINITY;
    for (const name of options.apps ?? []) this.apps.set(name, prefixedId("ap"));
    for (const name of options.proxies ?? []) this.proxies.set(name, prefixedId("pr"));
    for (const [name, version] of Object.entries(options.volumes ?? {})) this.addVolume(name, version);
    for (const [name, values] of Object.entries(options.secrets ?? {}))
      this.secretNames.set(name, this.addSecret(values));
  }

  /** Seconds since the epoch, never the same value twice, because listings page by it. */
  moment(): number {
    this.#lastMoment = Math.max(this.#lastMoment + 0.000_01, Date.now() / 1000);
    return this.#lastMoment;
  }

  addSecret(values: Readonly<Record<string, string>>): string {
    const id = prefixedId("st");
    this.secrets.set(id, values);
    return id;
  }

  addVolume(name: string, version: number): void {
    const id = prefixedId("vo");
    this.volumes.set(name, id);
    this.volumeVersions.set(id, version);
  }

  /** @throws Refusal for a secret that does not exist */
  variablesOf(sources: readonly SecretSource[]): Record<string, string> {
    const env: Record<string, string> = {};
    for (const { secretId, env: inline } of sources) {
      const values = secretId === undefined ? inline?.contents : this.secrets.get(secretId);
      if (!values) return refuse("NOT_FOUND", `Secret ${secretId} not found`);
      Object.assign(env, values);
    }
    return env;
  }

  sandbox(id: string): ModalSandbox {
    return this.sandboxes.get(id) ?? refuse("NOT_FOUND", `Sandbox ${id} not found`);
  }

  task(id: string): ModalSandbox {
    return this.tasks.get(id) ?? refuse("NOT_FOUND", `Task ${id} not found`);
  }

  running(): ModalSandbox[] {
    return [...this.sandboxes.values()].filter((each) => each.result === null);
  }

  issueAuthToken(): string {
    const token = jwt({ sub: "workspace" }, Date.now() + 20 * 60_000);
    this.#authTokens.add(token);
    return token;
  }

  knowsAuthToken(token: string | undefined): boolean {
    return token !== undefined && this.#authTokens.has(token);
  }

  routerAccess(taskId: string): { url: string; jwt: string } {
    const expiresAt = Date.now() + (this.options.routerTokenSecs ?? 3600) * 1000;
    const token = jwt({ task_id: taskId, nonce: randomBytes(4).toString("hex") }, expiresAt);
    this.#routerTokens.set(token, { taskId, expiresAt });
    return { url: this.routerUrl, jwt: token };
  }

  acceptsRouterToken(token: string, taskId: string): boolean {
    const known = this.#routerTokens.get(token);
    return known !== undefined && known.taskId === taskId && known.expiresAt > Date.now();
  }

  revokeRouterTokens(): void {
    this.#routerTokens = new Map();
  }

  async close(): Promise<void> {
    for (const sandbox of this.running()) sandbox.end({ status: 3, exitcode: 137, exception: "the server stops" });
    await Promise.all([...this.sandboxes.values()].map((each) => each.gone));
    await Promise.all([...this.images.all.values()].map((each) => each.built));
    for (const sandbox of this.sandboxes.values()) for (const exec of sandbox.execs.values()) exec.drop();
    await removeTree(this.folder);
  }
}
