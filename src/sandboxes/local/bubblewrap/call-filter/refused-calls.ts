/*
 * System calls that no process of a sandbox may make, with their numbers on x86-64 and arm64 (null where the processor does
 * not have the call). They reach resources that no namespace separates, or rarely needed parts of the kernel in which
 * sandbox escapes were found. Calls that are refused for some arguments only are in filter-program.ts.
 */

export type Processor = "x64" | "arm64";

interface Refused {
  readonly why: string;
  /** ENOSYS where programs then fall back to another call. */
  readonly error: "EPERM" | "ENOSYS";
  readonly calls: Readonly<Record<string, readonly [x64: number | null, arm64: number | null]>>;
}

export const REFUSED: readonly Refused[] = [
  {
    why: "keyrings belong to the login and its user; no namespace separates them",
    error: "EPERM",
    calls: { add_key: [248, 217], request_key: [249, 218], keyctl: [250, 219] },
  },
  {
    why: "memory and descriptors of other processes",
    error: "EPERM",
    calls: {
      process_vm_readv: [310, 270], process_vm_writev: [311, 271], kcmp: [312, 272], pidfd_getfd: [438, 438],
    },
  },
  {
    why: "makes other calls that this filter does not see",
    error: "EPERM",
    calls: { io_uring_setup: [425, 425], io_uring_enter: [426, 426], io_uring_register: [427, 427] },
  },
  {
    why: "kernel subsystems with a history of vulnerabilities",
    error: "EPERM",
    calls: {
      bpf: [321, 280], perf_event_open: [298, 241], userfaultfd: [323, 282], fanotify_init: [300, 262],
      fanotify_mark: [301, 263], lookup_dcookie: [212, 18], modify_ldt: [154, null], uselib: [134, null],
      vhangup: [153, 58],
    },
  },
  {
    why: "namespaces and mounts: what the sandbox is made of",
    error: "EPERM",
    calls: {
      setns: [308, 268], mount: [165, 40], umount2: [166, 39], pivot_root: [155, 41], chroot: [161, 51],
      open_tree: [428, 428], move_mount: [429, 429], fsopen: [430, 430], fsconfig: [431, 431], fsmount: [432, 432],
      fspick: [433, 433], mount_setattr: [442, 442], open_tree_attr: [467, 467], open_by_handle_at: [304, 265],
    },
  },
  {
    why: "takes its flags from memory, which a filter cannot read; libraries fall back to clone",
    error: "ENOSYS",
    calls: { clone3: [435, 435] },
  },
  {
    why: "lists mounts with their paths on the host",
    error: "ENOSYS",
    calls: { statmount: [457, 457], listmount: [458, 458] },
  },
  {
    why: "the machine itself: kernel, modules, clock, name, swap, quotas, ports",
    error: "EPERM",
    calls: {
      kexec_load: [246, 104], kexec_file_load: [320, 294], reboot: [169, 142], init_module: [175, 105],
      finit_module: [313, 273], delete_module: [176, 106], settimeofday: [164, 170], clock_settime: [227, 112],
      adjtimex: [159, 171], clock_adjtime: [305, 266], sethostname: [170, 161], setdomainname: [171, 162],
      swapon: [167, 224], swapoff: [168, 225], acct: [163, 89], quotactl: [179, 60], quotactl_fd: [443, 443],
      nfsservctl: [180, 42], syslog: [103, 116], iopl: [172, null], ioperm: [173, null],
    },
  },
]; // biome-ignore format: a table
