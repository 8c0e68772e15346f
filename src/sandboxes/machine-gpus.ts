/** A GPU of this machine that a job may be given. */
export interface MachineGpu {
  /** The number of its device node, by which leases name it: `2` of `/dev/nvidia2`. */
  readonly id: string;
  /** What the driver calls it: "NVIDIA GeForce RTX 4090". */
  readonly name: string;
}

/** What was found of this machine's GPUs. */
export interface MachineReading {
  /** In the order of the PCI bus, as `nvidia-smi` numbers them. */
  readonly gpus: readonly MachineGpu[];
  /** Why there are none, or not all of them; null = all that the driver has are there. For people, one sentence. */
  readonly why: string | null;
}

/** The GPUs of this machine that its local jobs may use. */
export interface MachineGpus {
  /** What was found so far, without looking; null = nobody has looked yet. */
  known(): MachineReading | null;
  /**
   * Asks the driver at the first call, in bounded time, and again only while there are none. Costs one look into /proc where
   * no driver is loaded. Never rejects.
   */
  read(): Promise<MachineReading>;
}

/** Of a machine whose GPUs are of no use to its jobs. */
export const noGpus = (why: string): MachineGpus => {
  const reading: MachineReading = { gpus: [], why };
  return { known: () => reading, read: async () => reading };
};
