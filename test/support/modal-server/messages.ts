/* The fields of the SDK's messages that the server reads. Add further fields here. */

export interface Tag {
  readonly tagName: string;
  readonly tagValue: string;
}

export interface StringMap {
  readonly contents: Readonly<Record<string, string>>;
}

export interface SecretSource {
  readonly secretId?: string;
  readonly env?: StringMap;
}

export interface Gpu {
  readonly count: number;
  readonly gpuType: string;
}

export interface NetworkAccess {
  /** 1 open, 2 blocked, 3 allow-list */
  readonly networkAccessType: number;
  readonly allowedCidrs: readonly string[];
  readonly allowedDomains: readonly string[];
}

export interface SandboxDefinition {
  readonly entrypointArgs: readonly string[];
  readonly imageId: string;
  readonly timeoutSecs: number;
  readonly idleTimeoutSecs?: number;
  readonly workdir?: string;
  readonly name?: string;
  readonly secretIds: readonly string[];
  readonly resources?: { readonly gpuConfig?: Gpu; readonly milliCpu: number; readonly memoryMb: number };
  readonly networkAccess?: NetworkAccess;
  readonly ptyInfo?: { readonly enabled: boolean };
  readonly openPorts?: { readonly ports: readonly { readonly port: number; readonly unencrypted: boolean }[] };
  readonly volumeMounts: readonly {
    readonly volumeId: string;
    readonly mountPath: string;
    readonly readOnly: boolean;
    readonly subPath?: string;
  }[];
  readonly cloudBucketMounts: readonly {
    readonly bucketName: string;
    readonly mountPath: string;
    readonly readOnly: boolean;
    readonly keyPrefix?: string;
  }[];
  readonly schedulerPlacement?: { readonly regions: readonly string[] };
  readonly readinessProbe?: {
    readonly tcpPort?: number;
    readonly execCommand?: { readonly argv: readonly string[] };
    readonly intervalMs?: number;
  };
  readonly experimentalOptionsV2: Readonly<Record<string, string>>;
}

export interface SandboxCreate {
  readonly appId: string;
  readonly definition?: SandboxDefinition;
  readonly tags: readonly Tag[];
  readonly secretSources?: readonly SecretSource[];
  readonly ephemeralSecrets?: StringMap;
  readonly cloudBucketMountCredentials?: Readonly<Record<string, StringMap>>;
}

export interface SandboxRef {
  readonly sandboxId: string;
  readonly timeout?: number;
}

export interface SandboxList {
  readonly appId: string;
  readonly beforeTimestamp: number;
  readonly includeFinished: boolean;
  readonly tags: readonly Tag[];
}

export interface ExecStart {
  readonly taskId: string;
  readonly execId: string;
  readonly commandArgs: readonly string[];
  /** 0 discarded, 1 kept */
  readonly stdoutConfig: number;
  readonly stderrConfig: number;
  readonly timeoutSecs?: number;
  readonly workdir?: string;
  readonly secretIds: readonly string[];
  readonly ptyInfo?: { readonly enabled: boolean };
  readonly containerId: string;
  readonly env: Readonly<Record<string, string>>;
  readonly secretSources: readonly SecretSource[];
}

export interface ExecRef {
  readonly taskId: string;
  readonly execId: string;
}

export interface StdioRead extends ExecRef {
  readonly offset: number;
  /** 0 stdout, 1 stderr */
  readonly fileDescriptor: number;
}

export interface StdinWrite extends ExecRef {
  readonly offset: number;
  readonly data: Uint8Array;
  readonly eof: boolean;
}

export interface StdinStreamItem {
  readonly start?: ExecRef & { readonly offset: number };
  readonly data?: Uint8Array;
  readonly end?: object;
}

export interface Snapshot {
  readonly taskId: string;
  readonly snapshotId: string;
  readonly ttlSeconds?: number;
  readonly path?: Uint8Array;
  readonly imageId?: string;
  readonly containerId: string;
  readonly customerSuppliedEncryptionKey?: Uint8Array;
}
