import { plainName } from "../../../shared/plain-text.ts";
import { type Finding, fault, ok, warning } from "../finding.ts";
import type { InstalledPackage } from "../installed-package.ts";

export interface PackageFacts {
  readonly own: InstalledPackage | null;
  /** What is installed of the dependencies that must have one exact version, by name. */
  readonly pinned: Readonly<Record<string, InstalledPackage | null>>;
  /** Whether a file of the source was changed after the last build; null = there is no source. */
  readonly isStale: boolean | null;
}

/** Whether what runs is this plugin, with the dependencies that it was written for. */
export function judgePackage({ own, pinned, isStale }: PackageFacts): Finding[] {
  const name = "package";
  if (own === null || !own.isThisPlugin) {
    const where =
      own === null ? "no package" : `the package ${plainName(own.name ?? "without a name")} in ${plainName(own.root)}`;
    return [
      fault(
        name,
        `This command belongs to ${where}, not to opencode-parallel-agents.`,
        "Install it anew, from its own repository.",
      ),
    ];
  }
  const root = plainName(own.root);
  const wrong = Object.entries(pinned).flatMap(([dependency, found]) => {
    const wanted = own.dependencies[dependency];
    if (found?.version === wanted && found?.name === dependency) return [];
    const there = found === null ? "is not installed" : `is there in version ${plainName(found.version ?? "unknown")}`;
    const why = dependency === "modal" ? " npm's latest package of that name is another one." : "";
    return [fault(name, `${dependency} ${there} where exactly ${wanted} is needed.${why}`, `In ${root}, run: npm ci`)];
  });
  const stale = isStale
    ? [
        warning(
          name,
          `The source in ${root} was changed after the build that OpenCode loads.`,
          `In ${root}, run: npm run build`,
        ),
      ]
    : [];
  if (wrong.length + stale.length > 0) return [...wrong, ...stale];
  const versions = Object.keys(pinned).map((dependency) => `${dependency} ${own.dependencies[dependency]}`);
  return [
    ok(name, `opencode-parallel-agents ${plainName(own.version ?? "")} in ${root}, with ${versions.join(" and ")}.`),
  ];
}
