import { join } from "node:path";
import { readConfigFile } from "../../config/config-file.ts";
import { hostFiles } from "../../config/host-files.ts";
import { memoizeUntilFailure } from "../../shared/memoize-until-failure.ts";
import type { InstructionFiles } from "../../tools/define-tool.ts";
import { type HostClient, unwrap } from "./host-client.ts";
import { readInstructionFiles } from "./instruction-files.ts";

export interface GivenInstructionsDeps {
  readonly client: Pick<HostClient, "path" | "global">;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The `instructions` of all layers of OpenCode's configuration. */
  readonly configured: () => readonly string[];
}

export interface GivenInstructions {
  /** The instruction files for jobs that are started now. Never rejects: what cannot be given is named. */
  read(): Promise<InstructionFiles>;
  /** Asks OpenCode where they lie, if nobody has yet. Its configuration does not change while an instance lives. Never rejects. */
  prepare(): void;
}

export function createGivenInstructions({ client, env, configured }: GivenInstructionsDeps): GivenInstructions {
  const doing = "find the instruction files";
  const host = memoizeUntilFailure(() =>
    Promise.all([
      unwrap(client.path.get(), "workspace_failed", doing),
      unwrap(client.global.config.get(), "workspace_failed", doing),
    ]),
  );
  return {
    async read() {
      try {
        const [[path, global], named] = await Promise.all([host(), namedInEnvironment(env)]);
        return await readInstructionFiles({
          directory: path.directory,
          worktree: path.worktree,
          configFolder: path.config,
          configured: configured(),
          configuredByUser: [...(global.instructions ?? []), ...named],
          env,
        });
      } catch (error) {
        return { files: [], left: [{ name: "any", why: `could not be found: ${(error as Error).message}` }] };
      }
    },
    prepare: () => void host().catch(() => {}), // reading them says why
  };
}

/** `instructions` of the configuration that the user names in the environment. OpenCode reports what is wrong with it. */
async function namedInEnvironment(env: GivenInstructionsDeps["env"]): Promise<readonly string[]> {
  const { OPENCODE_CONFIG: file, OPENCODE_CONFIG_DIR: folder, OPENCODE_CONFIG_CONTENT: content } = env;
  const paths = [
    ...(file ? [file] : []),
    ...(folder ? [join(folder, "opencode.json"), join(folder, "opencode.jsonc")] : []),
  ];
  const read = await Promise.all(paths.map((path) => readConfigFile(path, hostFiles)));
  const layers = read.map((one): unknown => (one.kind === "read" ? one.layer.value : null));
  return [...layers, parse(content)].flatMap((layer) => {
    const named = (layer as { instructions?: unknown } | null)?.instructions;
    return Array.isArray(named) ? named.filter((entry) => typeof entry === "string") : [];
  });
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
