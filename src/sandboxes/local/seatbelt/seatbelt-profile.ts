import type { SandboxDirs } from "../layout.ts";

/** A path as a string of the profile language. */
const literal = (path: string): string => `"${path.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

/**
 * The profile for sandbox-exec. A later rule overrides an earlier one. Paths must be real paths, because Seatbelt checks
 * them after resolving links (/tmp is /private/tmp).
 * @param readable directories in the user's home that the user's tools need
 */
export function seatbeltProfile(
  dirs: SandboxDirs,
  home: string,
  stateDir: string,
  readable: readonly string[],
  network: "open" | "blocked",
): string {
  const own = [dirs.workspace, dirs.home, dirs.tmp];
  const subpaths = (paths: readonly string[]) => paths.map((path) => `(subpath ${literal(path)})`).join(" ");
  const lines = [
    "(version 1)",
    "(allow default)",
    "(deny file-write*)",
    `(allow file-write* ${subpaths(own)} (literal "/dev/null") (literal "/dev/tty") (regex #"^/dev/ttys[0-9]+$"))`,
    // Denies reading content only, since path lookup must work for what is allowed below.
    `(deny file-read-data ${subpaths([home, stateDir, "/Users", "/Volumes", "/private/tmp", "/private/var/folders", "/private/etc/master.passwd"])})`,
    ...(readable.length > 0 ? [`(allow file-read-data ${subpaths(readable)})`] : []),
    `(allow file-read-data ${subpaths([...own, dirs.logs])})`,
    "(deny signal)",
    "(allow signal (target same-sandbox))",
    "(deny process-info*)",
    "(allow process-info* (target same-sandbox))",
    // Ways to reach the user's other programs: Apple events, keychain, pasteboard, launching applications.
    "(deny appleevent-send)",
    '(deny mach-lookup (global-name "com.apple.SecurityServer") (global-name "com.apple.securityd.xpc") (global-name "com.apple.pasteboard.1") (global-name-prefix "com.apple.coreservices.launchservicesd"))',
    ...(network === "blocked"
      ? ["(deny network*)"]
      : [
          '(deny network-outbound (remote ip "localhost:*"))',
          "(deny network-outbound (remote unix-socket))",
          "(deny network-bind)",
          "(deny network-inbound)",
          '(allow network-outbound (literal "/private/var/run/mDNSResponder"))',
        ]),
  ];
  return `${lines.join("\n")}\n`;
}
