import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasPython, PYTHON, run, SKILLS } from "./python.ts";

let dir = "";
let checkout = "";

/** Does what the repository's script does with the cache and data/, without a network, and writes down what the cache held. */
const DOWNLOAD = `
import argparse, os, shutil
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("--variant")
parser.add_argument("--train-shards", type=int)
args = parser.parse_args()
root, cache = Path(__file__).resolve().parent, Path(os.environ["HF_HOME"])
with open(root / "called", "a") as file:
    print(args.variant, args.train_shards, len(list(cache.iterdir())), file=file)
shards = [f"fineweb_train_{i:06d}.bin" for i in range(min(args.train_shards, int(os.environ.get("THERE_ARE", 80))))]
for name in ["fineweb_val_000000.bin", *shards]:
    target = root / "datasets" / f"fineweb10B_{args.variant}" / name
    if target.exists():
        continue
    target.parent.mkdir(parents=True, exist_ok=True)
    (cache / name).write_text(name)
    try:
        os.link(cache / name, target)
    except OSError:
        shutil.copy2(cache / name, target)
(root / "tokenizers").mkdir(exist_ok=True)
`;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "golf-data-"));
  checkout = join(dir, "checkout");
  for (const folder of ["bin", "checkout/data", "tmp"]) mkdirSync(join(dir, folder), { recursive: true });
  writeFileSync(join(checkout, "data/cached_challenge_fineweb.py"), DOWNLOAD);
  symlinkSync(PYTHON, join(dir, "bin/python3"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const getData = (args: string[], env: Record<string, string> = {}) =>
  run("sh", [join(SKILLS, "parameter-golf/scripts/get_data.sh"), ...args], {
    cwd: checkout,
    env: { PATH: `${join(dir, "bin")}:${process.env.PATH}`, TMPDIR: join(dir, "tmp"), ...env },
  });
const shardsIn = (folder: string) => readdirSync(folder).filter((name) => name.startsWith("fineweb_train_")).length;
const called = () => readFileSync(join(checkout, "data/called"), "utf8").trim().split("\n");

describe.skipIf(!hasPython)("the data of parameter-golf", () => {
  test("comes in portions, between which the cache is empty, and is stored once", () => {
    expect(getData(["25"]).status).toBe(0);
    expect(called()).toEqual(["sp1024 10 0", "sp1024 20 0", "sp1024 25 0"]);
    const folder = join(checkout, "data/datasets/fineweb10B_sp1024");
    expect(shardsIn(folder)).toBe(25);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).nlink, name).toBe(1);
    expect(readdirSync(join(dir, "tmp"))).toEqual([]);
  });

  test("lies on a volume where the checkout and run_proxy.sh find it", () => {
    const volume = join(dir, "volume");
    expect(getData(["2"], { DATA_ROOT: volume }).status).toBe(0);
    expect(shardsIn(join(volume, "datasets/fineweb10B_sp1024"))).toBe(2);
    expect(lstatSync(join(checkout, "data/datasets")).isSymbolicLink()).toBe(true);
    expect(getData(["3", volume]).status).toBe(0);
    expect(shardsIn(join(volume, "datasets/fineweb10B_sp1024"))).toBe(3);
  });

  test("of another vocabulary is asked for by its name", () => {
    expect(getData(["1", join(dir, "volume"), "sp8192"]).status).toBe(0);
    expect(called()).toEqual(["sp8192 1 0"]);
  });

  test("is not mixed with data that is elsewhere, and a download that brings too little fails", () => {
    expect(getData(["3"], { THERE_ARE: "2" })).toMatchObject({ status: 1 });
    const other = getData(["3", join(dir, "volume")]);
    expect(other.status).toBe(2);
    expect(other.stderr).toContain("data/datasets exists and is not");
  });

  test.each([
    [[], {}, "get_data.sh SHARDS"],
    [["0"], {}, "must be whole numbers"],
    [["ten"], {}, "must be whole numbers"],
    [["1"], { PORTION: "0" }, "must be whole numbers"],
  ])("asked for as %p with %p is refused", (args, env, reason) => {
    const { status, stderr } = getData(args, env);
    expect(status).toBe(2);
    expect(stderr).toContain(reason);
    expect(existsSync(join(checkout, "data/called"))).toBe(false);
  });
});
