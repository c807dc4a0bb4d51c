import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { temporaryName } from "./leftovers.js";
import { recoverFolder, replaceFolder } from "./replace-folder.js";
import { FileWriteError, writeText } from "./write-files.js";

let place: string;
let folder: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), "replace "));
  folder = join(place, "model");
  await replaceFolder(folder, async (to) => {
    await writeText(join(to, "index.json"), "old");
    await writeText(join(to, "unet", "weights"), "old");
  });
});
afterEach(() => rm(place, { recursive: true }));

const read = (...names: string[]) => readFileSync(join(folder, ...names), "utf8");
const writeNew = async (to: string) => {
  await writeText(join(to, "index.json"), "new");
  await writeText(join(to, "unet", "weights"), "new");
};

/** The name that a process which has ended would have given. */
async function nameOfEnded(path: string, ending: "partial" | "old"): Promise<string> {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  return (await temporaryName(path, ending)).replace(`.${process.pid}.`, `.${pid}.`);
}

describe("A folder that is written anew", () => {
  it("is the old one until the new one is whole, and keeps what is not written", async () => {
    await writeText(join(folder, "notes.md"), "the user's");
    await writeText(join(folder, "unet", "other"), "the user's");
    await replaceFolder(folder, async (to) => {
      await writeNew(to);
      await rm(join(to, "unet", "other"));
      expect([read("index.json"), read("unet", "weights"), read("unet", "other")]).toEqual([
        "old",
        "old",
        "the user's",
      ]);
    });
    expect([read("index.json"), read("unet", "weights"), read("notes.md")]).toEqual(["new", "new", "the user's"]);
    expect(await readdir(join(folder, "unet"))).toEqual(["weights"]);
    expect(await readdir(place)).toEqual(["model"]);
  });

  it("stays as it was if writing fails, and the error names it and not the temporary folder", async () => {
    const failure = replaceFolder(folder, async (to) => {
      await writeNew(to);
      throw new Error(`no room in ${to}/unet`);
    });
    await expect(failure).rejects.toThrow(`no room in ${folder}/unet`);
    expect([read("index.json"), read("unet", "weights")]).toEqual(["old", "old"]);
    expect(await readdir(place)).toEqual(["model"]);
  });

  it.each([undefined, "stop"])("passes on the reason of an aborted signal, whatever it is: %s", async (reason) => {
    const aborted = reason === undefined ? AbortSignal.abort() : AbortSignal.abort(reason);
    const failure = replaceFolder(folder, async () => aborted.throwIfAborted());
    await expect(failure).rejects.toBe(aborted.reason);
  });

  it("is one of two that are written at once, whole; one that fails does not touch the other", async () => {
    const writing = ["a", "b", "c"].map((text) =>
      replaceFolder(folder, async (to) => {
        for (const name of ["index.json", "unet/weights", `unet/${text}`]) await writeText(join(to, name), text);
        if (text === "c") throw new Error("interrupted");
      }),
    );
    const ends = await Promise.allSettled(writing);
    expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    const winner = read("index.json");
    expect(["a", "b"]).toContain(winner);
    expect(read("unet", "weights")).toBe(winner);
    expect(await readdir(place)).toEqual(["model"]);
  });

  it("is one of twelve that are written at once, whole, and none fails", async () => {
    const names = Array.from({ length: 12 }, (_, i) => String(i));
    for (const name of names) await writeText(join(folder, "unet", `more ${name}`), "old");
    const save = (text: string) =>
      replaceFolder(folder, async (to) => {
        for (const name of ["index.json", "unet/weights"]) await writeText(join(to, name), text);
      });
    await Promise.all(names.map(save));
    expect(names).toContain(read("index.json"));
    expect(read("unet", "weights")).toBe(read("index.json"));
    expect(await readdir(join(folder, "unet"))).toHaveLength(13);
    expect(await readdir(place)).toEqual(["model"]);
  });

  it("is changed in place where it cannot be moved, as the working directory cannot", async () => {
    const before = process.cwd();
    process.chdir(folder);
    try {
      await replaceFolder(".", async (to) => {
        await writeNew(to);
        await writeText(join(to, "vae", "weights"), "new");
        await rm(join(to, "unet"), { recursive: true });
      });
      expect([readFileSync("index.json", "utf8"), readFileSync("vae/weights", "utf8")]).toEqual(["new", "new"]);
      expect(existsSync("unet/weights")).toBe(false);
    } finally {
      process.chdir(before);
    }
    expect(await readdir(place)).toEqual(["model"]);
  });

  it("may be given by a link, which stays one", async () => {
    symlinkSync("model", join(place, "link"));
    await replaceFolder(join(place, "link/"), writeNew);
    expect(read("index.json")).toBe("new");
    expect((await readdir(place)).sort()).toEqual(["link", "model"]);
  });

  it("is refused where a file is, and what the system refuses is told", async () => {
    const error: unknown = await replaceFolder(join(folder, "index.json"), writeNew).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FileWriteError);
    expect((error as Error).message).toContain("is a file. Give a folder");
    await expect(replaceFolder(join(folder, "index.json", "below"), writeNew)).rejects.toThrow(
      /cannot be written.*ENOTDIR/,
    );
  });
});

describe("What a killed process left", () => {
  it("is swept by the next save, and what a running one writes is not", async () => {
    await mkdir(join(await nameOfEnded(folder, "partial"), "unet"), { recursive: true });
    await mkdir(await nameOfEnded(folder, "old"));
    writeFileSync(await nameOfEnded(join(folder, "index.json"), "partial"), "");
    const running = await temporaryName(folder);
    await mkdir(running);
    await replaceFolder(folder, writeNew);
    expect((await readdir(place)).map((name) => join(place, name)).sort()).toEqual([folder, running]);
    expect((await readdir(folder)).sort()).toEqual(["index.json", "unet"]);
  });

  it("is put back if it was killed between the two renames, by the next that opens or saves", async () => {
    const old = await nameOfEnded(folder, "old");
    await rename(folder, old);
    await recoverFolder(folder);
    expect(read("index.json")).toBe("old");
    await rename(folder, old);
    await replaceFolder(folder, (to) => writeText(join(to, "index.json"), "new"));
    expect([read("index.json"), read("unet", "weights")]).toEqual(["new", "old"]);
  });

  it("beside a file is swept by the next save of that file", async () => {
    const path = join(folder, "index.json");
    writeFileSync(await nameOfEnded(path, "partial"), "half");
    writeFileSync(await nameOfEnded(`${path}.more`, "partial"), "of another file");
    await writeText(path, "new");
    expect((await readdir(folder)).filter((name) => name.endsWith("partial"))).toHaveLength(1);
  });
});
