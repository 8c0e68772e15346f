import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from "node:fs";
import { isIPv4 } from "node:net";
import { posix } from "node:path";
import { isWithin } from "../../../config/host-paths.ts";
import { isAmong } from "./host-addresses.ts";
import { closedIn, isOpen } from "./lent/closed-paths.ts";
import { programFolders, type SystemFolders } from "./lent/system-folders.ts";
import { excludeHidden } from "./lent/visible-paths.ts";

/*
 * What a sandbox sees of the host's system, read-only: its programs (see lent/system-folders.ts) and a hand-picked part of
 * /etc. Never all of /etc: where the host process is root, that would give the job shadow, private keys and tokens. And of
 * that part nothing that not everybody may read.
 */

const ETC = [
  "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "timezone", "mime.types", "magic", "fonts",
  "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "ca-certificates.conf",
  "pki/tls/certs", "pki/tls/cert.pem", "pki/tls/openssl.cnf", "pki/ca-trust/extracted", "crypto-policies",
  "perl", "bash.bashrc", "inputrc", "terminfo", "matplotlibrc", "maven", "texmf", "OpenCL", "php",
  "R", "lsb-release", "os-release", "debian_version", "redhat-release", "gai.conf", "host.conf",
]; // biome-ignore format: a table
/** The same, where names have versions. */
const ETC_VERSIONS = /^(?:python3(?:\.\d+)?|java-\d+-openjdk|ImageMagick-\d+)$/;
/** Files of the host's programs that packages make when they are installed. */
const VAR_LIB = ["/var/lib/texmf", "/var/lib/ghc", "/var/lib/gems"];
const ZONES = "/usr/share/zoneinfo/";

/** bwrap's arguments for the host's programs and libraries. */
export const programArgs = ({ programs }: SystemFolders): string[] => [
  ...programs.binds.flatMap((path) => ["--ro-bind", path, path]),
  ...programs.links.flatMap(({ at, to }) => ["--symlink", to, at]),
];

/** What a sandbox's /etc consists of, and what belongs to it elsewhere. */
export interface Etc {
  readonly files: readonly EtcFile[];
  /** Folders and files of the host, each at the path that it has inside. */
  readonly binds: readonly { readonly from: string; readonly at: string }[];
  readonly links: readonly { readonly at: string; readonly to: string }[];
}

export interface EtcFile {
  /** Relative to /etc. */
  readonly name: string;
  readonly content: string | Uint8Array;
}

/** Limits on a folder whose files are copied. */
const MAX_COPIED_FILES = 20;
const MAX_COPIED_BYTES = 16_384;
/** Where the files of /etc lie inside. */
const ETC_FILES = "/run/.etc";
const RESOLVER = "/run/.resolver";

/**
 * The host's files are copied, and reached through links: a mount for each would be as safe, but bwrap reads the table of
 * all mounts anew for every one that it makes, so that a hundred of them take it a tenth of a second.
 */
export function readEtc(resolver: Resolver, hidden: readonly string[]): Etc {
  const files: EtcFile[] = [];
  const folders: Pick<Etc, "binds" | "links">[] = [];
  for (const { name, stat } of hostEtc()) {
    if ((!stat.isFile() && !stat.isDirectory()) || !isOpen(stat)) continue;
    const from = realpathSync(`/etc/${name}`);
    if (hidden.some((path) => isWithin(from, path))) continue;
    const isWhole = !hidden.some((path) => isWithin(path, from));
    const copied = stat.isFile() ? readable(name) : stat.isDirectory() && isWhole ? smallFolder(name) : null;
    if (copied === null) folders.push(folder(from, `/etc/${name}`, hidden));
    else files.push(...copied);
  }
  for (const path of VAR_LIB.filter((one) => existsSync(one) && isOpen(statSync(one)))) {
    const from = realpathSync(path);
    if (!hidden.some((one) => isWithin(from, one))) folders.push(folder(from, path, hidden));
  }
  const hasClock = existsSync("/etc/localtime") && !hidden.some((one) => isWithin("/etc/localtime", one));
  const zone = hasClock ? zoneFile() : null;
  if (hasClock && zone === null) files.push(...readable("localtime"));
  return {
    files: [...files, ...synthesizedFiles(resolver)],
    binds: folders.flatMap(({ binds }) => binds),
    links: [...folders.flatMap(({ links }) => links), ...(zone === null ? [] : [{ at: "/etc/localtime", to: zone }])],
  };
}

/** The file of the user's time zone, if /etc/localtime is a link to it: by where that leads programs tell the zone's name. */
function zoneFile(): string | null {
  try {
    const to = posix.resolve("/etc", readlinkSync("/etc/localtime"));
    return to.startsWith(ZONES) && existsSync(to) ? to : null;
  } catch {
    return null; // a file, or none
  }
}

function folder(from: string, at: string, hidden: readonly string[]): Pick<Etc, "binds" | "links"> {
  const inside = (path: string) => at + path.slice(from.length);
  const { binds, links } = excludeHidden([from], [...hidden, ...closedIn(from)]);
  return {
    binds: binds.map((path) => ({ from: path, at: inside(path) })),
    links: links.map((link) => ({ at: inside(link.at), to: link.to })),
  };
}

/**
 * bwrap's arguments for it.
 * @param made the host's folder in which its files are
 * @param hasResolver its resolv.conf is in a folder of its own, see `resolverArgs`
 */
export function etcArgs({ files, binds, links }: Etc, made: string, hasResolver: boolean): string[] {
  const folderOf = (name: string) => (hasResolver && name === "resolv.conf" ? RESOLVER : ETC_FILES);
  const linkTo = (name: string) => `${"../".repeat(name.split("/").length)}${folderOf(name).slice(1)}/${name}`;
  return [
    "--dir", "/etc", "--ro-bind", made, ETC_FILES,
    ...files.flatMap(({ name }) => ["--symlink", linkTo(name), `/etc/${name}`]),
    ...binds.flatMap(({ from, at }) => ["--ro-bind", from, at]),
    ...links.flatMap(({ at, to }) => ["--symlink", to, at]),
  ]; // biome-ignore format: one line per purpose
}

/** bwrap's arguments for the host's folder in which the sandbox's resolv.conf is; null = it has none of its own. */
export const resolverArgs = (folder: string | null): string[] =>
  folder === null ? [] : ["--ro-bind", folder, RESOLVER];

/** What the host's programs need of /etc to run at all. */
export const leastEtcArgs = (): string[] =>
  ["ld.so.cache", "alternatives"].flatMap((name) => ["--ro-bind-try", `/etc/${name}`, `/etc/${name}`]);

/** What of the host's system a sandbox sees, by its paths there, but for what is private in it. */
export const systemPaths = (): string[] => [
  ...programFolders(),
  ...VAR_LIB.filter((path) => existsSync(path)),
  ...hostEtc().map(({ name }) => `/etc/${name}`),
];

const hostEtc = (): { readonly name: string; readonly stat: Stats }[] =>
  [...ETC, ...readdirSync("/etc").filter((name) => ETC_VERSIONS.test(name))].flatMap((name) => {
    const path = `/etc/${name}`;
    return existsSync(path) ? [{ name, stat: statSync(path) }] : []; // also where this user may not look for it
  });

/** The files of a folder with a few small ones and nothing else; null = it is to be mounted. */
function smallFolder(name: string): EtcFile[] | null {
  const paths = readdirSync(`/etc/${name}`).map((each) => `${name}/${each}`);
  if (paths.length === 0 || paths.length > MAX_COPIED_FILES) return null;
  const isSmall = (stat: Stats) => stat.isFile() && stat.size <= MAX_COPIED_BYTES;
  if (!paths.every((path) => isSmall(lstatSync(`/etc/${path}`)))) return null;
  const files = paths.flatMap(readable);
  return files.length === paths.length ? files : null;
}

/** Nothing where not everybody may read it. */
function readable(name: string): EtcFile[] {
  try {
    if (!isOpen(statSync(`/etc/${name}`))) return [];
    return [{ name, content: readFileSync(`/etc/${name}`) }];
  } catch {
    return [];
  }
}

/** Files of /etc with content of ours in place of the host's. */
function synthesizedFiles(resolver: Resolver): EtcFile[] {
  const nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin";
  return [
    {
      name: "passwd",
      content: `root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/sh\n${nobody}\n`,
    },
    { name: "group", content: "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n" },
    { name: "hosts", content: toLines(["127.0.0.1 localhost sandbox", "::1 localhost", ...resolver.hosts]) },
    { name: "hostname", content: "sandbox\n" },
    { name: "resolv.conf", content: resolvConf(resolver) },
    {
      name: "nsswitch.conf",
      content: "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n",
    },
  ];
}

export const resolvConf = ({ nameservers, settings }: Resolver): string =>
  toLines([...nameservers.map((address) => `nameserver ${address}`), ...settings]);

const toLines = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

/** How a sandbox finds the addresses of names. */
export interface Resolver {
  readonly nameservers: readonly string[];
  /** Lines of resolv.conf that say how to ask them, such as `search`. */
  readonly settings: readonly string[];
  /** Lines of the hosts file besides those of the sandbox itself. */
  readonly hosts: readonly string[];
}

export const NO_RESOLVER: Resolver = { nameservers: [], settings: [], hosts: [] };

/** Ad blockers list a hundred thousand hosts, but at 0.0.0.0. */
const MAX_HOSTS = 500;

/**
 * What a sandbox can reach by itself of the host's resolver: three name servers at most, and the user's own names of hosts.
 * Servers on the host's loopback (systemd-resolved, dnsmasq)
 * are left out, and no network helper forwards to them: that would open every port of the loopback address, not only 53.
 * @param blocked networks that the sandbox cannot reach
 */
export function reachableResolver(blocked: readonly string[]): Resolver {
  const isReachable = (address: string) => isIPv4(address) && !isAmong(address, blocked);
  const hosts = linesOf("/etc/hosts")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => isReachable(line.split(/\s/, 1)[0] ?? "") && !/\slocalhost(?:\s|$)/.test(line))
    .slice(0, MAX_HOSTS);
  const settings = linesOf("/etc/resolv.conf").filter((line) => /^(?:search|domain|options)\s/.test(line));
  for (const path of [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
  ]) {
    const servers = linesOf(path).flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
    const nameservers = servers.filter(isReachable).slice(0, 3);
    if (nameservers.length > 0) return { nameservers, settings, hosts };
  }
  return { nameservers: [], settings: [], hosts };
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch {
    return []; // absent on most machines; an unreadable one is of no use either
  }
}
