import { readFileSync } from "node:fs";
import { type Clock, sleep } from "../../../shared/clock.ts";
import type { Namespaces } from "./namespaces.ts";

const POLL_MS = 2;

/**
 * Resolves once bwrap has given the sandbox's user its ids and its loopback an address, the last that it does to these two
 * namespaces. Whoever enters them before is nobody inside, and bwrap would end if it found the loopback up already.
 */
export async function awaitLoopback(namespaces: Namespaces, clock: Clock): Promise<void> {
  const isUp = () => {
    try {
      return readFileSync(namespaces.processFile("net/fib_trie"), "latin1").includes("127.0.0.1");
    } catch {
      return true; // bwrap has ended, and nothing will change any more
    }
  };
  while (!isUp()) await sleep(clock, POLL_MS);
}
