import { oneLine } from "../shared/plain-text.ts";

export type VersionSupport =
  | { readonly kind: "tested" }
  | { readonly kind: "untested" | "unsupported"; readonly message: string };

/**
 * Whether jobs may start in an OpenCode of this version: what isolates them from the user's machine was verified with
 * 1.18.33 alone. Later versions of 1.x and development builds are let through and named in the log.
 */
export function supportOf(version: string): VersionSupport {
  const [major, minor] = version.split(".").map(Number);
  const shown = oneLine(version, 40);
  if (major === 1 && minor === 18) return { kind: "tested" };
  if ((major === 1 && Number(minor) > 18) || Number.isNaN(major) || version.startsWith("0.0.0-")) {
    return { kind: "untested", message: `This plugin was tested with OpenCode 1.18.33, not with OpenCode ${shown}.` };
  }
  const message = `OpenCode ${shown} is not supported, so jobs cannot start: their isolation from this machine was never verified with it. Install OpenCode 1.18.33 (npm install -g opencode-ai@1.18.33) or a later 1.x.`;
  return { kind: "unsupported", message };
}
