import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Exec } from "./exec.ts";
import { installDriver } from "./gpu.ts";
import { prefixedId } from "./ids.ts";
import { hasExpired, type Image } from "./images.ts";
import { type Machine, type Mount, startMachine } from "./machine.ts";
import type { SandboxDefinition, Tag } from "./messages.ts";
import { layOver, takeOff } from "./overlay.ts";
import { pause } from "./pace.ts";
import { refuse } from "./refusal.ts";
import { copyTree, removeTree } from "./root-tree.ts";
import type { SyncTool, VolumeCopy } from "./volumes.ts";

/** Status of a GenericResult: 1 success, 2 failure, 3 terminated, 4 lifetime over. */
export interface Result {
  readonly status: 1 | 2 | 3 | 4;
  readonly exitcode: number;
  readonly exception: string;
}

export interface SandboxPlan {
  readonly id: string;
  readonly generation: "v1" | "v2";
  readonly appId: string;
  readonly definition: SandboxDefinition;
  readonly image: Image;
  readonly tags: readonly Tag[];
  readonly env: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  /** Its copies of volumes, where it has its own. */
  readonly volumes: readonly VolumeCopy[];
  readonly sync: SyncTool | null;
  readonly gpu: { readonly type: string; readonly count: number } | null;
  /** Names of its GPUs in place of their type's own. */
  readonly devices: readonly string[] | undefined;
  /** Real time from its machine to its first command. */
  readonly bootMs: number;
  readonly createdAt: number;
  readonly folder: string;
  readonly secondMs: number;
  readonly overlay: boolean;
  /** Resolves when every sandbox that has ended has committed its volumes. */
  settled(): Promise<unknown>;
  /** Called once the result is set, before the files are deleted. */
  onEnd(sandbox: ModalSandbox): Promise<void>;
}

/** A sandbox: waiting for a machine, running, or ended with a result. */
export class ModalSandbox {
  readonly plan: SandboxPlan;
  readonly taskId = prefixedId("ta");
  readonly execs = new Map<string, Exec>();
  readonly root: string;
  readonly scratch: string;
  readonly ended: Promise<Result>;
  name: string | null;
  tags: readonly Tag[];
  result: Result | null = null;
  machine: Machine | null = null;
  entrypoint: Exec | null = null;
  /** Whether a command has run in it. */
  used = false;
  /** Whether it has a machine, booted or not. */
  scheduled = false;
  /** Epoch ms; null until it has a machine. */
  startedAt: number | null = null;
  /** Whether its termination has begun. It counts as live until its end. */
  stopping = false;
  /** Resolves once it takes commands, or has ended. */
  readonly up: Promise<void>;
  /** Set once its files were deleted or saved. */
  gone: Promise<void> | null = null;
  readonly #starting: Promise<void>[] = [];
  #end: (result: Result) => void = () => {};
  #takeCommands: () => void = () => {};
  #lifetime: ReturnType<typeof setTimeout> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #busy = 0;

  constructor(plan: SandboxPlan) {
    this.plan = plan;
    this.name = plan.definition.name ?? null;
    this.tags = plan.tags;
    this.root = join(plan.folder, "root");
    this.scratch = join(plan.folder, "scratch");
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.up = new Promise((resolve) => {
      this.#takeCommands = resolve;
    });
  }

  get id(): string {
    return this.plan.id;
  }

  /** Starts it on a machine, with what `main` starts. @param main called when it has booted */
  async start(main: () => void): Promise<void> {
    this.scheduled = true;
    const starting = this.#start().then(main);
    this.#starting.push(starting.catch(() => {}));
    await starting;
    this.#takeCommands();
  }

  /** Kills all processes now, and ends it later. */
  stop(result: Result, afterMs: number): void {
    if (this.stopping || this.result !== null) return;
    this.stopping = true;
    for (const exec of this.execs.values()) exec.kill();
    // What only waits for a machine ends at once.
    if (afterMs <= 0 || !this.scheduled) this.end(result);
    else void pause(afterMs, this.ended).then(() => this.end(result));
  }

  /** Sets the result, kills all processes and deletes the files. Has an effect only once. */
  end(result: Result): void {
    if (this.result !== null) return;
    this.result = result;
    clearTimeout(this.#lifetime);
    clearTimeout(this.#idle);
    for (const exec of this.execs.values()) exec.kill();
    this.gone = this.#clear();
    this.#takeCommands();
    this.#end(result);
  }

  /** Ends it because its first process has ended, unless a termination killed that. */
  endItself(result: Result): void {
    if (!this.stopping) this.end(result);
  }

  /** Counts an activity, which prevents the idle timeout. @returns a function to call when the activity is over */
  busy(): () => void {
    this.#busy += 1;
    clearTimeout(this.#idle);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#busy -= 1;
      this.#watchIdle();
    };
  }

  /** Directory that commands start in. */
  get workdir(): string {
    return this.plan.definition.workdir ?? this.plan.image.workdir ?? "/root";
  }

  get disk(): { root: string; mounts: readonly Mount[] } {
    return { root: this.root, mounts: this.plan.mounts };
  }

  /** @throws Refusal when it has no machine yet or any more */
  running(): Machine {
    if (this.result !== null || this.stopping || this.machine === null)
      return refuse("FAILED_PRECONDITION", `Sandbox ${this.id} is not running. ${this.result?.exception ?? ""}`.trim());
    return this.machine;
  }

  async #start(): Promise<void> {
    await mkdir(this.scratch, { recursive: true });
    const failure = await this.plan.image.built;
    if (failure !== null) return this.end({ status: 2, exitcode: 1, exception: failure });
    const { image, overlay } = this.plan;
    await pause(this.plan.bootMs, this.ended);
    if (this.result !== null) return;
    if (hasExpired(image))
      return this.end({ status: 2, exitcode: 1, exception: `Could not find image with ID ${image.id}` });
    if (overlay) await layOver(image.folder, this.root, this.scratch);
    else await copyTree(image.folder, this.root);
    // Made here because a container runtime makes the directory that it starts in.
    await mkdir(join(this.root, this.workdir), { recursive: true });
    if (this.plan.gpu) await installDriver(this.root, this.plan.gpu, this.plan.devices);
    if (this.result !== null) return; // or it would wait for its own end
    if (this.plan.volumes.length > 0) await this.plan.settled();
    for (const each of this.plan.volumes) await each.mount();
    await this.plan.sync?.start();
    for (const { host, isClosed } of this.plan.mounts)
      await mkdir(host, { recursive: true, ...(isClosed && { mode: 0o000 }) });
    if (this.result !== null) return;
    this.machine = await startMachine(this.root, this.scratch, this.plan.mounts);
    if (this.result !== null) return this.machine.close();
    // A job may have killed its own first process.
    void this.machine.gone.then(() =>
      this.endItself({ status: 2, exitcode: 137, exception: "its first process ended" }),
    );
    this.startedAt = Date.now();
    const { timeoutSecs } = this.plan.definition;
    this.#lifetime = setTimeout(
      () => this.end({ status: 4, exitcode: 124, exception: "its lifetime is over" }),
      timeoutSecs * this.plan.secondMs,
    );
    this.#watchIdle();
  }

  #watchIdle(): void {
    const { idleTimeoutSecs } = this.plan.definition;
    if (idleTimeoutSecs === undefined || this.#busy > 0 || this.result !== null) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(
      () => this.end({ status: 3, exitcode: 137, exception: "it was idle" }),
      idleTimeoutSecs * this.plan.secondMs,
    );
  }

  async #clear(): Promise<void> {
    await Promise.all(this.#starting);
    await this.machine?.close();
    this.plan.sync?.stop();
    for (const each of this.plan.volumes) {
      if (this.machine) await each.commit();
      await removeTree(each.copy);
    }
    await this.plan.onEnd(this);
    // Output stays readable while the server runs; files are deleted.
    if (this.plan.overlay) {
      await takeOff(this.root);
      await removeTree(this.scratch);
    }
    await removeTree(this.root);
  }
}
