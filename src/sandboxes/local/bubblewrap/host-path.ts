import { isAbsolute, join, normalize } from "node:path";
import { isWithin } from "../../../config/host-paths.ts";
import type { LentPath } from "../../lent-paths.ts";
import type { Withheld } from "./lent/credentials-in.ts";
import { entries, isFile, isFolder, isLink, isOpenToAll, isProgram, real } from "./lent/host-files.ts";
import { type Installation, installationOf, isEnvironment } from "./lent/installations.ts";
import { isPrivate, isSystemProgram, type Places, whyNever, whyNotLent } from "./lent/private-places.ts";
import { excludeHidden, type VisiblePaths } from "./lent/visible-paths.ts";

/*
 * The host's tools outside /usr (version managers, conda, toolchains), lent read-only. Conservative on purpose: a tool
 * that fails to start is a nuisance, a lent credential is a leak. H2: the programs of a folder on PATH are lent one by
 * one, and through a link only the program that it leads to. Only of an installation is more lent, namely its own parts
 * (see lent/installations.ts). H3: files in a part whose names stand for credentials are left out
 * (see lent/visible-paths.ts).
 */

export interface HostPath {
  /** Host paths that are lent; the sandbox has them at the same paths. */
  readonly binds: readonly string[];
  /** Paths below the binds that are left out. */
  readonly hidden: readonly string[];
  /** What to mount in place of the binds, so that nothing hidden is visible. */
  readonly visible: VisiblePaths;
  /** Links that the sandbox gets at the same paths. */
  readonly links: readonly { readonly at: string; readonly to: string }[];
  /** PATH inside the sandbox. */
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  /** The binds, each with its reason. */
  readonly lent: readonly LentPath[];
  /** Paths on PATH or in `readOnlyPaths` that are not lent, each with its reason. */
  readonly refused: readonly LentPath[];
}

export interface HostPathPlan extends Places {
  /** PATH of the host process. */
  readonly hostPath: string;
  /** Further paths that the user lends. */
  readonly readOnlyPaths: readonly string[];
  readonly search: (folder: string) => Withheld;
}

const STANDARD = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/** Limit on programs lent one by one, over all folders: each costs a mount of its own. */
const MAX_PROGRAMS = 300;

export function readHostPath(plan: HostPathPlan): HostPath {
  const lending = new Lending(plan);
  const folders: string[] = [];
  const isThere = (folder: string) => isSystemProgram(folder, plan) && !isPrivate(real(folder) ?? folder, plan);
  for (const entry of plan.hostPath.split(":")) {
    const folder = normalize(entry).replace(/(.)\/$/, "$1");
    if (!isAbsolute(folder) || STANDARD.includes(folder) || folders.includes(folder) || !isFolder(folder)) continue;
    const inside = isThere(folder) ? folder : lending.lendFolder(folder);
    if (inside !== null && !folders.includes(inside)) folders.push(inside);
  }
  for (const path of plan.readOnlyPaths) lending.lendAsked(path);
  return lending.result([...folders, ...STANDARD].join(":"));
}

class Lending {
  readonly #plan: HostPathPlan;
  readonly #binds = new Map<string, string>();
  readonly #links = new Map<string, string>();
  readonly #refused = new Map<string, string>();
  readonly #hidden = new Set<string>();
  readonly #prefixes = new Set<string>();
  readonly #env: Record<string, string> = {};
  #programs = 0;

  constructor(plan: HostPathPlan) {
    this.#plan = plan;
  }

  /** Lends a folder on PATH as far as allowed. @returns its path inside; null when nothing of it is lent */
  lendFolder(folder: string): string | null {
    const target = real(folder) as string;
    const installation = installationOf(target, this.#plan.home);
    const why = isOpenToAll(target) ? "everybody may put programs there" : this.#whyNot(target, installation);
    if (why !== null) {
      this.#refuse(folder, why);
      return null;
    }
    const isLent = installation === null ? this.#lendPrograms(target) : this.#lendInstallation(installation, target);
    if (!isLent) return null;
    return folder !== target && this.#link(folder, target) ? folder : target;
  }

  /** Lends a path that the user named. The rules for credentials and the project do not apply to it. */
  lendAsked(path: string): void {
    const target = real(path);
    const why = target === null ? "it does not exist" : (whyNever(path, this.#plan) ?? whyNever(target, this.#plan));
    if (why !== null || target === null) {
      this.#refuse(path, why ?? "");
      return;
    }
    this.#binds.set(path, "local.readOnlyPaths");
    if (target !== path) this.#binds.set(target, "local.readOnlyPaths");
  }

  result(path: string): HostPath {
    const { home } = this.#plan;
    const env = { ...this.#env };
    if (
      this.#lendsOf(join(home, ".cargo", "bin")) &&
      this.#lend(join(home, ".rustup", "toolchains"), "Rust toolchains")
    ) {
      env.RUSTUP_HOME = join(home, ".rustup");
      // Without `update-hashes`, rustup would try and fail to create it before every command.
      for (const part of ["settings.toml", "update-hashes"]) this.#lend(join(home, ".rustup", part), "Rust toolchains");
    }
    const binds = outermost([...this.#binds.keys()]);
    // A link below another one is reached through it.
    const links = outermost([...this.#links.keys()]);
    const isLent = (path: string) => binds.some((bound) => isWithin(path, bound));
    const hidden = outermost([...this.#hidden].filter((path) => isLent(path)));
    const visible = excludeHidden(binds, hidden);
    for (const folder of visible.tooLarge)
      this.#refuse(folder, "something in it is not lent, and it has too many files to lend the others one by one");
    return {
      binds,
      hidden,
      visible,
      links: [...this.#links]
        .filter(([at]) => links.includes(at) && !isLent(at) && !binds.some((bound) => isWithin(bound, at)))
        .map(([at, to]) => ({ at, to })),
      path,
      env,
      lent: binds.map((path) => ({ path, why: this.#binds.get(path) ?? "" })),
      refused: [...this.#refused].map(([path, why]) => ({ path, why })),
    };
  }

  #lendPrograms(folder: string): boolean {
    const before = this.#programs;
    for (const { name } of entries(folder)) {
      const path = join(folder, name);
      const target = real(path);
      if (target === null || !isFile(target)) continue;
      if (this.#programs === MAX_PROGRAMS) {
        this.#refuse(folder, `no more than ${MAX_PROGRAMS} programs are lent; some of these are not`);
        break;
      }
      const isLent = isLink(path)
        ? (isSystemProgram(target, this.#plan) || this.#lendTarget(target)) && this.#link(path, target)
        : this.#lendProgram(path);
      if (isLent) this.#programs += 1;
    }
    return this.#programs > before;
  }

  #lendProgram(path: string): boolean {
    return isProgram(path) && this.#lend(path, "program on PATH");
  }

  /** Lends the target of a link: all parts of the installation it belongs to, or else the file alone. */
  #lendTarget(target: string): boolean {
    const installation = installationOf(target, this.#plan.home);
    if (installation !== null) return this.#lendInstallation(installation, target);
    const why = this.#whyNot(target, null);
    return why === null ? this.#lendProgram(target) : this.#refuse(target, why);
  }

  /** @param wanted path that must be lent for this to be of use @returns whether it is */
  #lendInstallation(installation: Installation, wanted: string): boolean {
    const { prefix, kind, parts } = installation;
    if (!this.#prefixes.has(prefix)) {
      this.#prefixes.add(prefix);
      Object.assign(this.#env, installation.env);
      for (const part of parts) {
        const path = part === "." ? prefix : join(prefix, part);
        const target = real(path);
        // A part that links out of its installation could be anything.
        if (target === null || !isWithin(target, prefix) || this.#whyNot(target, installation) !== null) continue;
        this.#binds.set(path, part === "." ? kind : `${kind} ${prefix}`);
        this.#hide(target);
        if (/^(?:s?bin|shims)$/.test(part)) this.#followLinks(path, prefix);
      }
    }
    return this.#holds(wanted);
  }

  /** Lends link targets outside the installation: the interpreter of a virtual environment lies in another one. */
  #followLinks(folder: string, prefix: string): void {
    for (const { name } of entries(folder).slice(0, 5 * MAX_PROGRAMS)) {
      const target = isLink(join(folder, name)) ? real(join(folder, name)) : null;
      if (target !== null && isFile(target) && !isWithin(target, prefix) && !isSystemProgram(target, this.#plan))
        this.#lendTarget(target);
    }
  }

  /** Why a path is not lent. Of the project only a Python or conda environment is, because the job has its own copy of the rest. */
  #whyNot(path: string, installation: Installation | null): string | null {
    const why = whyNotLent(path, this.#plan);
    const { project } = this.#plan;
    if (why !== null || project === null || !isWithin(path, project)) return why;
    return installation !== null && isEnvironment(installation) ? null : "it lies in the project";
  }

  #lend(path: string, why: string): boolean {
    const target = real(path);
    if (target === null || this.#whyNot(path, null) !== null || this.#whyNot(target, null) !== null) return false;
    this.#hide(target);
    this.#binds.set(path, why);
    return true;
  }

  /** Leaves out of a lent folder what may hold credentials. */
  #hide(folder: string): void {
    const { credentials, unsearched } = this.#plan.search(folder);
    for (const path of [...credentials, ...unsearched]) this.#hidden.add(path);
    const [first] = unsearched;
    if (first === undefined) return;
    const more = unsearched.length === 1 ? "" : `, like ${unsearched.length - 1} more below ${folder}`;
    this.#refuse(first, `it could not be searched for credentials${more}`);
  }

  #link(at: string, to: string): boolean {
    if (whyNever(at, this.#plan) !== null) return false;
    this.#links.set(at, to);
    return true;
  }

  #refuse(path: string, why: string): false {
    this.#refused.set(path, why);
    return false;
  }

  #holds(path: string): boolean {
    return [...this.#binds.keys()].some((bound) => isWithin(path, bound));
  }

  #lendsOf(folder: string): boolean {
    return [...this.#binds.keys()].some((bound) => isWithin(folder, bound) || isWithin(bound, folder));
  }
}

const outermost = (paths: readonly string[]): string[] =>
  paths.filter((path) => !paths.some((other) => other !== path && isWithin(path, other))).sort();
