import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Behaviour } from "./behaviour.ts";
import { type Exec, type ExecExit, runCommand } from "./exec.ts";
import { prefixedId } from "./ids.ts";
import { startMachine } from "./machine.ts";
import { type Pace, pause } from "./pace.ts";
import { refuse } from "./refusal.ts";
import { copyTree, layOut, removeTree } from "./root-tree.ts";

export interface Image {
  readonly id: string;
  readonly kind: "built" | "filesystem" | "directory";
  /** Directory of the image's file system. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string | null;
  readonly start: ImageStart;
  readonly createdAt: number;
  /** Epoch ms; null = never. */
  expiresAt: number | null;
  deleted: boolean;
  /** Resolves when the build has ended: null, or why it failed. */
  readonly built: Promise<string | null>;
  /** What its commands have printed so far, in pieces as they came. */
  readonly log: readonly string[];
}

/** What a container of the image runs: the entrypoint before the arguments, or before the CMD where there are none. */
export interface ImageStart {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
}

const NO_START: ImageStart = { entrypoint: [], cmd: [] };

type Settings = { env: Record<string, string>; workdir: string | null; start: ImageStart };

export const hasExpired = ({ expiresAt }: Image): boolean => expiresAt !== null && expiresAt <= Date.now();

const missing = (id: string): never => refuse("NOT_FOUND", `Could not find image with ID ${id}`);

/** Images by id: built from a recipe, or snapshots of sandboxes. */
export class ImageStore {
  readonly all = new Map<string, Image>();
  readonly #byRecipe = new Map<string, string>();
  readonly #folder: string;
  readonly #behaviour: Behaviour;
  readonly #pace: Pace;

  constructor(folder: string, behaviour: Behaviour, pace: Pace) {
    this.#folder = folder;
    this.#behaviour = behaviour;
    this.#pace = pace;
  }

  /** @throws Refusal NOT_FOUND when unknown, deleted or expired */
  get(id: string): Image {
    const image = this.find(id);
    return hasExpired(image) ? missing(id) : image;
  }

  /** Like `get`, but also finds an expired image where that shows only later. */
  find(id: string): Image {
    const image = this.all.get(id);
    if (!image || image.deleted || (hasExpired(image) && this.#behaviour.expired === "refuse")) return missing(id);
    return image;
  }

  /** The image of a recipe, built at most once. @param commands Dockerfile lines */
  build(
    commands: readonly string[],
    baseId: string | null,
    env: Readonly<Record<string, string>>,
    force: boolean,
  ): { image: Image; fresh: boolean } {
    const recipe = JSON.stringify([commands, baseId, env]);
    const known = this.#byRecipe.get(recipe);
    const existing = known === undefined || force ? undefined : this.all.get(known);
    if (existing && !existing.deleted) return { image: existing, fresh: false };
    const base = baseId === null ? null : this.get(baseId);
    const id = prefixedId("im");
    const folder = join(this.#folder, id);
    const { registry } = this.#behaviour;
    const tag = /^\s*FROM\s+(\S+)/i.exec(commands[0] ?? "")?.[1] ?? "";
    const start = base?.start ?? { ...NO_START, ...(registry[tag] ?? registry["*"]) };
    const settings: Settings = { env: { ...base?.env, ...env }, workdir: base?.workdir ?? null, start };
    for (const line of commands) applySetting(line, settings);
    const log: string[] = [];
    const built = this.#make(folder, base, commands, settings, log).then(
      () => null,
      (error: Error) => error.message,
    );
    const image: Image = {
      id,
      kind: "built",
      folder,
      ...settings,
      createdAt: Date.now(),
      expiresAt: null,
      deleted: false,
      built,
      log,
    };
    this.all.set(id, image);
    this.#byRecipe.set(recipe, id);
    // A failed build is repeated at the next request.
    void built.then((failure) => failure !== null && this.#byRecipe.delete(recipe));
    return { image, fresh: true };
  }

  /** Makes an image of a directory tree. @param ttlMs null = never expires */
  async freeze(
    kind: "filesystem" | "directory",
    from: string,
    like: Pick<Image, "env" | "workdir" | "start">,
    ttlMs: number | null,
  ): Promise<Image> {
    const id = prefixedId("im");
    const folder = join(this.#folder, id);
    await copyTree(from, folder);
    const createdAt = Date.now();
    const image: Image = {
      id, kind, folder, env: like.env, workdir: like.workdir, start: like.start, createdAt,
      expiresAt: ttlMs === null ? null : createdAt + ttlMs, deleted: false, built: Promise.resolve(null), log: [],
    }; // biome-ignore format: short
    this.all.set(id, image);
    return image;
  }

  async remove(id: string): Promise<void> {
    const image = this.get(id);
    image.deleted = true;
    await removeTree(image.folder);
  }

  async #make(
    folder: string,
    base: Image | null,
    commands: readonly string[],
    { env, workdir }: Pick<Image, "env" | "workdir">,
    log: string[],
  ): Promise<void> {
    if (base) {
      const failure = await base.built;
      if (failure !== null) throw new Error(failure);
      await copyTree(base.folder, folder);
    } else {
      await layOut(folder);
    }
    const buildMs = this.#pace.buildMs();
    const step = async (text: string) => {
      if (buildMs > 0) log.push(`=> ${text}\n`);
      await pause(buildMs / (commands.length + 1));
    };
    const isRun = (line: string) => /^RUN\s/i.test(line);
    const scratch = `${folder}-machine`; // of its own: other images are built at the same time
    await mkdir(scratch);
    const machine = commands.some(isRun) ? await startMachine(folder, scratch, []) : null;
    try {
      for (const [at, line] of commands.entries()) {
        await step(`Step ${at}: ${line}`);
        if (machine === null || !isRun(line)) continue;
        const argv = ["/bin/sh", "-c", line.replace(/^RUN\s+/i, "")];
        const exec: Exec = runCommand(
          {
            id: prefixedId("bu"),
            argv,
            workdir: workdir ?? "/",
            env: { ...machine.env, ...env },
            timeoutMs: null,
            pty: false,
            maxOutputBytes: 1e7,
          },
          machine,
          this.#folder,
        );
        const { code, signal } = await exitOf(exec, log);
        const said = Buffer.from(exec.stderr.read(0, 2000)).toString();
        exec.drop();
        if (code !== 0) throw new Error(`${line}\nexit ${code ?? `signal ${signal}`}: ${said}`);
      }
      await step("Saving image");
    } finally {
      await machine?.close();
    }
  }
}

/** Waits for a command's end, and keeps what it prints. */
async function exitOf(exec: Exec, log: string[]): Promise<ExecExit> {
  const read = { stdout: 0, stderr: 0 };
  const keep = () => {
    for (const stream of ["stdout", "stderr"] as const) {
      const bytes = exec[stream].read(read[stream], 1e6);
      read[stream] += bytes.length;
      if (bytes.length > 0) log.push(Buffer.from(bytes).toString());
    }
  };
  const timer = setInterval(keep, 20);
  try {
    return await exec.exited;
  } finally {
    clearInterval(timer);
    keep();
  }
}

/** Applies a Dockerfile line that runs nothing. @throws Refusal for an unknown instruction */
function applySetting(line: string, settings: Settings): void {
  const [, word = "", rest = ""] = /^\s*(\w+)\s+(.*)$/s.exec(line) ?? [];
  const instruction = word.toUpperCase();
  if (instruction === "FROM" || instruction === "RUN") return;
  if (instruction === "WORKDIR") settings.workdir = rest.trim();
  else if (instruction === "ENV") {
    const [, name = "", value = ""] = /^(\w+)[= ]"?(.*?)"?$/s.exec(rest.trim()) ?? [];
    settings.env[name] = value;
  } else if (instruction === "ENTRYPOINT") settings.start = { entrypoint: toArgv(rest), cmd: [] };
  else if (instruction === "CMD") settings.start = { ...settings.start, cmd: toArgv(rest) };
  else refuse("INVALID_ARGUMENT", `The test server does not know the instruction ${JSON.stringify(line)}`);
}

/** An instruction's arguments: a JSON list, or the text of a shell's command. */
function toArgv(text: string): string[] {
  try {
    return JSON.parse(text) as string[];
  } catch {
    return ["/bin/sh", "-c", text.trim()];
  }
}
