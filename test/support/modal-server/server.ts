import { closed, opened } from "../ledger.ts";
import { accountHandlers, authenticateControl, credentials } from "./control-account.ts";
import { billingHandlers } from "./control-billing.ts";
import { imageHandlers } from "./control-images.ts";
import { lookupHandlers } from "./control-lookups.ts";
import { sandboxHandlers } from "./control-sandboxes.ts";
import { type GrpcServer, loadModalWire, type ServiceDefinition } from "./definitions.ts";
import { FaultBook, type Faults } from "./faults.ts";
import type { ModalServerOptions } from "./options.ts";
import { CreationRate, pause } from "./pace.ts";
import { refuse } from "./refusal.ts";
import { execHandlers } from "./router-exec.ts";
import { taskHandlers } from "./router-sandbox.ts";
import { snapshotHandlers } from "./router-snapshots.ts";
import { type Call, implement } from "./service.ts";
import { World } from "./world.ts";

/*
 * A fake Modal for tests: control plane and router over gRPC on loopback, with sandboxes as processes of this machine. Its
 * client is the real SDK. It refuses everything that it does not implement.
 */

export interface SandboxView {
  readonly id: string;
  readonly generation: "v1" | "v2";
  readonly state: "waiting" | "running" | "ended";
  readonly name: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** "H100:2" */
  readonly gpu: string | null;
  /** Directory of its root on the host. */
  readonly root: string;
  readonly imageId: string;
  /** Number of running commands. */
  readonly running: readonly string[];
  /** Exit code as `sandbox.wait()` returns it; null while it is live. */
  readonly exitCode: number | null;
}

export interface ModalServer {
  readonly url: string;
  /** Variables for the client's process, to be set before the SDK is imported. */
  readonly env: Readonly<Record<string, string>>;
  /** Every call so far, in order. */
  readonly calls: readonly Call[];
  readonly faults: Faults;
  /** All sandboxes so far; with `live: true` only those that have not ended. */
  sandboxes(filter?: { readonly live?: boolean }): SandboxView[];
  images(): {
    readonly id: string;
    readonly kind: string;
    readonly expiresAt: number | null;
    readonly deleted: boolean;
  }[];
  /** Makes a sandbox die, also during a command. */
  kill(sandboxID: string): void;
  /** Takes a sandbox's machine away. @param exitCode unknown of the real service; default 137 */
  preempt(sandboxID: string, exitCode?: number): void;
  /** Ends a sandbox's lifetime now. */
  expireImage(imageID: string): void;
  /** Stops an app, as its user does in Modal's dashboard: its id is unknown from then on. */
  stopApp(name: string): void;
  /** Sets the number of GPUs of a type; null = unlimited. */
  setGpus(type: string, count: number | null): void;
  setWorkspaceLimit(limit: number): void;
  /** Allows so many creations a second from now on, and `burst` at once. */
  setCreationRate(perSecond: number, burst: number): void;
  /** Whether the workspace's spend limit is reached, so that nothing new starts. */
  setSpendLimitReached(reached: boolean): void;
  /** Stops the router; sandboxes and control plane keep running. */
  stopRouter(): void;
  startRouter(): Promise<void>;
  stopControl(): void;
  startControl(): Promise<void>;
  /** Revokes every token issued so far. */
  revokeRouterTokens(): void;
  /** Ends all sandboxes and connections, and deletes the files. */
  stop(): Promise<void>;
}

const LIMITS = {
  "grpc.max_receive_message_length": 100 * 1024 * 1024,
  "grpc.max_send_message_length": 100 * 1024 * 1024,
  "grpc-node.flow_control_window": 64 * 1024 * 1024,
};

export async function startModalServer(options: ModalServerOptions = {}): Promise<ModalServer> {
  const wire = await loadModalWire();
  const world = new World(options);
  const stopping = new AbortController();
  const faults = new FaultBook(stopping.signal);
  const calls: Call[] = [];

  const control = endpoint(wire.control, wire.createServer, () =>
    implement(wire.control, {
      wire, plane: "control", faults, calls,
      handlers: { ...accountHandlers(world), ...imageHandlers(world), ...sandboxes, ...lookupHandlers(world), ...billingHandlers(world) },
      authenticate: (method, context) => authenticateControl(world, method, context),
      turn: (method) => pause(world.pace.callMs(method)),
    }),
  ); // biome-ignore format: short
  const sandboxes = sandboxHandlers(world);
  const router = endpoint(wire.router, wire.createServer, () =>
    implement(wire.router, {
      wire, plane: "router", faults, calls,
      handlers: { ...execHandlers(world), ...snapshots, ...taskHandlers(world) },
      authenticate(_method, context, request) {
        const token = context.header("authorization")?.replace(/^Bearer /, "") ?? "";
        if (!world.acceptsRouterToken(token, String(request.taskId))) refuse("UNAUTHENTICATED", "The router does not know this token.");
      },
      async turn(method, { taskId }) {
        await pause(world.pace.callMs(method));
        await world.tasks.get(String(taskId))?.up;
      },
    }),
  ); // biome-ignore format: short
  const snapshots = snapshotHandlers(world);
  await control.start();
  await router.start();
  // The SDK requires an https address, but uses plaintext because the address is on loopback.
  world.routerUrl = `https://127.0.0.1:${router.port()}`;
  const url = `http://127.0.0.1:${control.port()}`;
  opened("modal server", world.folder, () => {
    for (const sandbox of world.running()) sandbox.end({ status: 3, exitcode: 137, exception: "" });
  });

  return {
    url,
    env: {
      MODAL_SERVER_URL: url, MODAL_TOKEN_ID: credentials(world).tokenId, MODAL_TOKEN_SECRET: credentials(world).tokenSecret,
      MODAL_CONFIG_PATH: `${world.folder}/none.toml`, MODAL_LOGLEVEL: "error", MODAL_ENVIRONMENT: "", MODAL_PROFILE: "",
      no_proxy: "127.0.0.1,localhost", NO_PROXY: "127.0.0.1,localhost",
    }, // biome-ignore format: a table
    calls,
    faults,
    sandboxes: ({ live = false } = {}) =>
      [...world.sandboxes.values()]
        .filter((each) => !live || each.result === null)
        .map((each) => ({
          id: each.id,
          generation: each.plan.generation,
          state: each.result !== null ? "ended" : each.machine !== null ? "running" : "waiting",
          name: each.name,
          tags: Object.fromEntries(each.tags.map((tag) => [tag.tagName, tag.tagValue])),
          gpu: each.plan.gpu && `${each.plan.gpu.type}:${each.plan.gpu.count}`,
          root: each.root,
          imageId: each.plan.image.id,
          running: [...each.execs.values()].filter((exec) => exec.exit === null).map((exec) => exec.argv.join(" ")),
          exitCode:
            each.result && (each.result.status === 4 ? 124 : each.result.status === 3 ? 137 : each.result.exitcode),
        })),
    images: () =>
      [...world.images.all.values()].map(({ id, kind, expiresAt, deleted }) => ({ id, kind, expiresAt, deleted })),
    preempt: (id, exitcode = 137) => world.sandbox(id).end({ status: 2, exitcode, exception: "preempted" }),
    kill: (id) => world.sandbox(id).end({ status: 2, exitcode: 137, exception: "the machine was lost" }),
    expireImage(id) {
      world.images.find(id).expiresAt = Date.now();
    },
    stopApp: (name) => void world.apps.delete(name),
    setGpus(type, count) {
      if (count === null) world.gpus.delete(type);
      else world.gpus.set(type, count);
    },
    setWorkspaceLimit(limit) {
      world.workspaceLimit = limit;
    },
    setCreationRate(createsPerSecond, createsBurst) {
      world.creationRate = new CreationRate({ createsPerSecond, createsBurst });
    },
    setSpendLimitReached(reached) {
      world.spent = reached;
    },
    stopRouter: router.stop,
    startRouter: router.start,
    stopControl: control.stop,
    startControl: control.start,
    revokeRouterTokens: () => world.revokeRouterTokens(),
    async stop() {
      stopping.abort();
      router.stop();
      control.stop();
      await world.close();
      closed("modal server", world.folder);
    },
  };
}

/** A gRPC server that can be stopped and restarted on the same port. */
function endpoint(
  definition: ServiceDefinition,
  create: (options: Record<string, number>) => GrpcServer,
  implementation: () => Record<string, unknown>,
) {
  let server: GrpcServer | null = null;
  let port = 0;
  return {
    port: () => port,
    async start(): Promise<void> {
      if (server) return;
      server = create(LIMITS);
      server.add(definition, implementation());
      port = await server.listen(`127.0.0.1:${port}`);
    },
    stop(): void {
      server?.forceShutdown();
      server = null;
    },
  };
}
