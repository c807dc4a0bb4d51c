import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PlatformError } from "./platform-error.js";
import { readReplaced } from "./read-replaced.js";

let folder: string;
let saves: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "read replaced "));
  saves = 0;
  await save();
});
afterEach(() => rm(folder, { recursive: true }));

/** Replaces both files, as a save does: each by a new file under the old name. */
async function save(): Promise<void> {
  saves++;
  for (const name of ["mark", "weights"]) {
    await writeFile(join(folder, "new"), `save ${saves}`);
    await rename(join(folder, "new"), join(folder, name));
  }
}

/** Reads both files; while it does, the first `times` reads are overtaken by a save. */
function overtaken(times: number): () => Promise<string[]> {
  let reads = 0;
  return async () => {
    const mark = await readFile(join(folder, "mark"), "utf8");
    if (reads++ < times) await save();
    return [mark, await readFile(join(folder, "weights"), "utf8")];
  };
}

it("A folder that is replaced while it is read is read again, and the mixture is discarded", async () => {
  const discarded: string[][] = [];
  const result = await readReplaced(folder, "mark", overtaken(2), (mixture) => discarded.push(mixture));
  expect(result).toEqual(["save 3", "save 3"]);
  expect(discarded).toEqual([
    ["save 1", "save 2"],
    ["save 2", "save 3"],
  ]);
});

it("A folder that nobody replaces is read once", async () => {
  let reads = 0;
  expect(await readReplaced(folder, "mark", async () => Promise.resolve(++reads), fail)).toBe(1);
});

it("A folder that is replaced at every read is refused", async () => {
  const discarded: string[][] = [];
  const read = readReplaced(folder, "mark", overtaken(Infinity), (mixture) => discarded.push(mixture));
  await expect(read).rejects.toThrow(PlatformError);
  expect(discarded).toHaveLength(20);
});

it("An error counts only if the folder was not replaced meanwhile", async () => {
  let reads = 0;
  const read = async () => {
    if (++reads > 1) return "whole";
    await save();
    throw new Error("a file is missing");
  };
  expect(await readReplaced(folder, "mark", read, fail)).toBe("whole");
  const broken = () => Promise.reject(new Error("a file is damaged"));
  await expect(readReplaced(folder, "mark", broken, fail)).rejects.toThrow("a file is damaged");
});

function fail(): never {
  throw new Error("Nothing is to be discarded here.");
}
