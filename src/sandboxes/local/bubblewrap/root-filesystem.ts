import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { isAmong } from "./host-addresses.ts";

/*
 * What a sandbox sees of the host's system, read-only: /usr and a hand-picked part of /etc. Never all of /etc: where the
 * host process is root, that would give the job shadow, private keys and tokens.
 */

const ETC = [
  "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "mime.types", "magic", "fonts",
  "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "ca-certificates.conf",
  "pki/tls/certs", "pki/tls/cert.pem", "pki/tls/openssl.cnf", "pki/ca-trust/extracted", "crypto-policies",
  "python3", "python3.11", "perl", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk", "bash.bashrc", "inputrc", "terminfo",
  "R", "lsb-release", "os-release", "debian_version", "redhat-release", "gai.conf", "host.conf",
]; // biome-ignore format: a table

export interface SynthesizedFile {
  readonly path: string;
  readonly content: string;
}

/** bwrap's arguments for the system part of the sandbox's root. */
export function systemArgs(): string[] {
  const args = ["--ro-bind", "/usr", "/usr"];
  for (const name of ["/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"]) {
    const stat = lstatSync(name, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink()) args.push("--symlink", readlinkSync(name), name);
    else if (stat?.isDirectory()) args.push("--ro-bind", name, name);
  }
  args.push("--dir", "/etc");
  for (const name of ETC) {
    const path = `/etc/${name}`;
    if (existsSync(path)) args.push("--ro-bind", realpathSync(path), path);
  }
  return args;
}

/** What of the host's system a sandbox sees, by its paths there. */
export const systemPaths = (): string[] =>
  systemArgs().flatMap((arg, at, args) => (args[at - 2] === "--ro-bind" ? [arg] : []));

/** Files of /etc with content of ours in place of the host's. */
export function synthesizedFiles(nameservers: readonly string[]): SynthesizedFile[] {
  const nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin";
  return [
    {
      path: "/etc/passwd",
      content: `root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/sh\n${nobody}\n`,
    },
    { path: "/etc/group", content: "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n" },
    { path: "/etc/hosts", content: "127.0.0.1 localhost sandbox\n::1 localhost\n" },
    { path: "/etc/hostname", content: "sandbox\n" },
    { path: "/etc/resolv.conf", content: nameservers.map((address) => `nameserver ${address}\n`).join("") },
    {
      path: "/etc/nsswitch.conf",
      content: "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n",
    },
  ];
}

/**
 * Name servers that a sandbox can reach by itself, three at most. Those on the host's loopback (systemd-resolved, dnsmasq)
 * are left out, and no network helper forwards to them: that would open every port of the loopback address, not only 53.
 * @param blocked networks that the sandbox cannot reach
 */
export function reachableNameservers(blocked: readonly string[]): string[] {
  for (const path of [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
  ]) {
    const found = nameserversIn(path).filter((address) => !address.includes(":") && !isAmong(address, blocked));
    if (found.length > 0) return found.slice(0, 3);
  }
  return [];
}

function nameserversIn(path: string): string[] {
  try {
    return [...readFileSync(path, "utf8").matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] as string);
  } catch {
    return []; // absent on most machines; an unreadable one is of no use either
  }
}
