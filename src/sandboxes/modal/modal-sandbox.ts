import { posix } from "node:path";
import type { Failure } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import {
  type ExecRequest,
  FileError,
  type Sandbox,
  type SandboxGpu,
  type SandboxPort,
  type SandboxProcess,
} from "../port.ts";
import { readModalFile, writeModalFile } from "./modal-files.ts";
import { startModalProcess } from "./modal-process.ts";
import { reloadVolumes } from "./reload-volumes.ts";
import type { SandboxCore } from "./sandbox-core.ts";

export interface ModalSandboxParts {
  readonly core: SandboxCore;
  readonly workdir: string;
  readonly home: string;
  readonly notes: readonly string[];
  readonly gpu: SandboxGpu | null;
  readonly ports: readonly SandboxPort[];
  readonly billedSince: number | null;
  readonly usage: Sandbox["usage"];
  readonly terminate: () => Promise<void>;
}

export class ModalSandbox implements Sandbox {
  readonly id: string;
  readonly workdir: string;
  readonly home: string;
  readonly notes: readonly string[];
  readonly gpu: SandboxGpu | null;
  readonly ports: readonly SandboxPort[];
  readonly ended: Promise<Failure | null>;
  /** The kernel's counters are not visible in a container. */
  readonly memory = null;
  readonly processes = null;
  readonly network = null;
  /** Modal offers no second namespace around the same files. */
  readonly view = null;
  readonly billedSince: number | null;
  readonly usage: Sandbox["usage"];
  readonly reloadVolumes = () => reloadVolumes(this.core);
  readonly core: SandboxCore;
  readonly #terminate: () => Promise<void>;

  constructor(parts: ModalSandboxParts) {
    this.core = parts.core;
    this.id = parts.core.id;
    this.workdir = parts.workdir;
    this.home = parts.home;
    this.notes = parts.notes;
    this.gpu = parts.gpu;
    this.ports = parts.ports;
    this.billedSince = parts.billedSince;
    this.usage = parts.usage;
    this.ended = parts.core.ended;
    this.#terminate = parts.terminate;
  }

  async start(request: ExecRequest): Promise<SandboxProcess> {
    if (!request.argv[0]) throw new FileError("file_failed", "A command needs at least a program to run.");
    if ([...request.argv, request.workdir ?? ""].some((word) => word.includes("\0")))
      throw new FileError("file_failed", "A command cannot contain NUL bytes.");
    return startModalProcess(this.core, { ...request, workdir: this.#resolve(request.workdir ?? ".") });
  }

  readFile(path: string, range: { readonly offset: number; readonly maxBytes: number }): Promise<Uint8Array> {
    return readModalFile(this.core, this.#resolve(path), range);
  }

  writeFile(path: string, content: Uint8Array, options?: { readonly executable?: boolean }): Promise<void> {
    return writeModalFile(this.core, this.#resolve(path), content, options?.executable ?? false);
  }

  /** @source Modal JS SDK 0.11.1, Sandbox.setTags: replaces all of them */
  async setTags(tags: Readonly<Record<string, string>>): Promise<void> {
    const { clock, limits } = this.core;
    const limit = { clock, limitMs: limits.callMs, doing: `Changing the tags of sandbox ${this.id}` };
    await this.core.call((sandbox) => within(sandbox.setTags({ ...tags }), limit)).catch(this.core.rethrowTranslated);
  }

  terminate(): Promise<void> {
    return this.#terminate();
  }

  #resolve(path: string): string {
    return posix.resolve(this.workdir, path);
  }
}
