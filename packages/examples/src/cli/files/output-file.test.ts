import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { OutputError, outputFile, writeOutput } from "./output-file.js";

describe("The output file", () => {
  let folder: string;
  const called = process.env.INIT_CWD;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "output file ")));
    process.env.INIT_CWD = folder;
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
    if (called === undefined) delete process.env.INIT_CWD;
    else process.env.INIT_CWD = called;
  });

  it("is the one named, from where npm was called, in a folder that is made", () => {
    expect(outputFile("a/b/face.png", "x")).toBe(join(folder, "a", "b", "face.png"));
    expect(statSync(join(folder, "a", "b")).isDirectory()).toBe(true);
  });

  it("is named after the text in a folder", () => {
    expect(outputFile("pictures", "A face, with a RED hat!")).toBe(
      join(folder, "pictures", "a-face-with-a-red-hat.png"),
    );
    expect(outputFile("pictures", "examples")).toBe(join(folder, "pictures", "examples.png"));
    expect(outputFile("pictures", "帽子")).toBe(join(folder, "pictures", "picture.png"));
    expect(outputFile("pictures", "hat ".repeat(500)).length).toBeLessThan(folder.length + 100);
  });

  it("goes into a folder whose name ends like a picture file", () => {
    mkdirSync(join(folder, "odd.png"));
    expect(outputFile("odd.png", "hat")).toBe(join(folder, "odd.png", "hat.png"));
  });

  it("is refused before any work if it cannot be written", () => {
    writeFileSync(join(folder, "file"), "");
    expect(() => outputFile("file/face.png", "x")).toThrow(OutputError);
    expect(() => outputFile("file/face.png", "x")).toThrow(/cannot be written.*--out/);
  });

  it("gives an error of one line if writing fails later, as on a full disk", async () => {
    const written = writeOutput(join(folder, "gone", "face.png"), new Uint8Array(3));
    await expect(written).rejects.toThrow(OutputError);
    await expect(written).rejects.toThrow(/face\.png cannot be written: ENOENT.*--out/);
  });

  it("is written completely or not at all, with nothing left beside it", async () => {
    const file = join(folder, "face.png");
    writeFileSync(file, "old");
    await writeOutput(file, new Uint8Array([1, 2, 3]));
    expect([...readFileSync(file)]).toEqual([1, 2, 3]);
    mkdirSync(join(folder, "taken.png"));
    await expect(writeOutput(join(folder, "taken.png"), new Uint8Array(3))).rejects.toThrow(OutputError);
    expect(readdirSync(folder).sort()).toEqual(["face.png", "taken.png"]);
  });
});
