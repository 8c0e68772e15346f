import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/*
 * The wire definitions of the installed SDK, read from a copy of its bundle with one more `export` line, which is made when
 * the server starts. The copy is in the SDK's folder, so that its imports resolve like the SDK's (to the same nice-grpc),
 * and disappears with the next install. Another version of the SDK fails here instead of somewhere later.
 */

const VERSION = "0.11.1";
const NAMES = ["ModalClientDefinition", "TaskCommandRouterDefinition", "RPCStatus", "RPCRetryPolicy"] as const;

export interface MethodDefinition {
  readonly name: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

interface Codec {
  fromPartial(value: object): object;
  encode(message: object): { finish(): Uint8Array };
}

export interface GrpcServer {
  add(definition: ServiceDefinition, implementation: Record<string, unknown>): void;
  listen(address: string): Promise<number>;
  forceShutdown(): void;
}

export interface ModalWire {
  readonly control: ServiceDefinition;
  readonly router: ServiceDefinition;
  readonly rpcStatus: Codec;
  readonly rpcRetryPolicy: Codec;
  createServer(options: Record<string, number>): GrpcServer;
  createError(code: number, details: string): Error;
}

let loaded: Promise<ModalWire> | undefined;

export function loadModalWire(): Promise<ModalWire> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<ModalWire> {
  const entry = fileURLToPath(import.meta.resolve("modal"));
  const home = dirname(dirname(entry));
  const { version } = JSON.parse(await readFile(join(home, "package.json"), "utf8")) as { version: string };
  if (version !== VERSION)
    throw new Error(
      `The Modal server knows modal ${VERSION}; installed is ${version}. Compare the two, then change VERSION.`,
    );
  const copy = join(home, "node_modules", ".cache", `modal-definitions-${version}.mjs`);
  if (!existsSync(copy)) await writeCopy(entry.replace(/\.cjs$/, ".js"), copy, version);
  const found = (await import(pathToFileURL(copy).href)) as Record<string, unknown>;
  const { createServer, ServerError } = found as {
    createServer: ModalWire["createServer"];
    ServerError: new (code: number, details: string) => Error;
  };
  return {
    control: found.ModalClientDefinition as ServiceDefinition,
    router: found.TaskCommandRouterDefinition as ServiceDefinition,
    rpcStatus: found.RPCStatus as Codec,
    rpcRetryPolicy: found.RPCRetryPolicy as Codec,
    createServer,
    createError: (code, details) => new ServerError(code, details),
  };
}

async function writeCopy(bundle: string, copy: string, version: string): Promise<void> {
  const text = await readFile(bundle, "utf8");
  for (const name of NAMES) {
    if (!text.includes(`\nvar ${name} = {`))
      throw new Error(`modal ${version} has no top-level ${name}: its bundle is made differently.`);
  }
  await mkdir(dirname(copy), { recursive: true });
  // Written under a unique name first, because several test processes may start at once.
  const draft = `${copy}.${process.pid}`;
  await writeFile(
    draft,
    `${text}\nexport { ${NAMES.join(", ")} };\nexport { createServer, ServerError } from "nice-grpc";\n`,
  );
  await rename(draft, copy);
}
