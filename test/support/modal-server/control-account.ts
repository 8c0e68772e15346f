import { prefixedId } from "./ids.ts";
import { refuse } from "./refusal.ts";
import type { CallContext, Handlers } from "./service.ts";
import type { World } from "./world.ts";

/** ObjectCreationType */
const CREATE_IF_MISSING = 1;
const EPHEMERAL = 5;

/** Control plane: tokens, environments, apps, secrets, volumes, proxies. */
export function accountHandlers(world: World): Handlers {
  return {
    AuthTokenGet: () => ({ token: world.issueAuthToken() }),

    TokenInfoGet: () => ({ tokenId: "", workspaceId: "ac-test", workspaceName: "test-workspace", tokenName: "" }),

    EnvironmentGetOrCreate({ deploymentName }: { deploymentName: string }) {
      requireEnvironment(world, deploymentName);
      return {
        environmentId: "en-main",
        metadata: { name: deploymentName || "main", settings: { imageBuilderVersion: "2025.06", webhookSuffix: "" } },
      };
    },

    AppGetOrCreate({
      appName,
      environmentName,
      objectCreationType,
    }: {
      appName: string;
      environmentName: string;
      objectCreationType: number;
    }) {
      requireEnvironment(world, environmentName);
      if (!world.apps.has(appName)) {
        if (objectCreationType !== CREATE_IF_MISSING) refuse("NOT_FOUND", `No App with name '${appName}' found.`);
        world.apps.set(appName, prefixedId("ap"));
      }
      const appId = world.apps.get(appName) as string;
      return { appId, handleMetadata: { description: appName, appId, environmentName, functions: {}, servers: {} } };
    },

    SecretGetOrCreate(request: {
      deploymentName: string;
      objectCreationType: number;
      envDict: Record<string, string>;
      requiredKeys: readonly string[];
    }) {
      if (request.objectCreationType === EPHEMERAL) return { secretId: world.addSecret(request.envDict) };
      const secretId = world.secretNames.get(request.deploymentName);
      if (secretId === undefined) return refuse("NOT_FOUND", `Secret '${request.deploymentName}' not found`);
      const missing = request.requiredKeys.filter((key) => !(key in (world.secrets.get(secretId) ?? {})));
      if (missing.length > 0) refuse("FAILED_PRECONDITION", `Secret is missing key(s): ${missing.join(", ")}`);
      return { secretId };
    },

    VolumeGetOrCreate({
      deploymentName,
      objectCreationType,
      version,
    }: {
      deploymentName: string;
      objectCreationType: number;
      version: number;
    }) {
      if (!world.volumes.has(deploymentName)) {
        if (objectCreationType !== CREATE_IF_MISSING) refuse("NOT_FOUND", `Volume '${deploymentName}' not found`);
        world.addVolume(deploymentName, version || 1);
      }
      const volumeId = world.volumes.get(deploymentName) as string;
      const actual = world.volumeVersions.get(volumeId);
      return { volumeId, version: actual, metadata: { version: actual, name: deploymentName } };
    },

    async VolumeDelete({ volumeId }: { volumeId: string }) {
      const [name] = [...world.volumes].find(([, id]) => id === volumeId) ?? [];
      if (name === undefined) return refuse("NOT_FOUND", `Volume ${volumeId} not found`);
      world.volumes.delete(name);
      return {};
    },

    /** Ends the app's sandboxes. */
    AppStop({ appId }: { appId: string }) {
      const [name] = [...world.apps].find(([, id]) => id === appId) ?? [];
      if (name === undefined) return refuse("NOT_FOUND", `App ${appId} not found`);
      for (const sandbox of world.running())
        if (sandbox.plan.appId === appId) sandbox.end({ status: 3, exitcode: 137, exception: "" });
      world.apps.delete(name);
      return {};
    },

    ProxyGet({ name }: { name: string }) {
      const proxyId = world.proxies.get(name);
      return proxyId === undefined ? refuse("NOT_FOUND", `Proxy ${name} not found`) : { proxy: { name, proxyId } };
    },
  };
}

function requireEnvironment(world: World, name: string): void {
  const { environments } = world.options;
  if (name !== "" && environments !== undefined && !environments.includes(name))
    refuse("NOT_FOUND", `Environment '${name}' not found`);
}

/** @throws Refusal UNAUTHENTICATED for wrong credentials, or for a call without a token of this server */
export function authenticateControl(world: World, method: string, context: CallContext): void {
  const { tokenId, tokenSecret } = credentials(world);
  if (context.header("x-modal-token-id") !== tokenId || context.header("x-modal-token-secret") !== tokenSecret) {
    refuse("UNAUTHENTICATED", "Token ID or secret is wrong.");
  }
  if (method !== "AuthTokenGet" && !world.knowsAuthToken(context.header("x-modal-auth-token")))
    refuse("UNAUTHENTICATED", "No valid auth token.");
}

export const credentials = (world: World): { tokenId: string; tokenSecret: string } => ({
  tokenId: world.options.tokenId ?? "ak-test",
  tokenSecret: world.options.tokenSecret ?? "as-test",
});
