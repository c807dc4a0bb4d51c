import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import { readmeCode } from "./readme.mjs";
import { root } from "./run.mjs";

describe("README", () => {
  const program = join(root, "packages", "examples", "dist", "readme-example.mjs");
  const folder = mkdtempSync(join(tmpdir(), "readme-"));
  afterAll(() => {
    rmSync(program, { force: true });
    rmSync(folder, { recursive: true });
  });

  it("shows an example of at most 15 lines that runs as it stands and draws a picture", () => {
    const [example] = readmeCode("js");
    expect(example.trim().split("\n").length).toBeLessThanOrEqual(15);
    writeFileSync(program, example); // Here it finds the packages by their names.
    symlinkSync(join(root, "packages"), join(folder, "packages"), "junction");
    execFileSync(process.execPath, [program], { cwd: folder, stdio: "pipe", timeout: 120_000 });
    expect(readFileSync(join(folder, "faces.png")).subarray(1, 4).toString()).toBe("PNG");
  }, 120_000);

  it("links to files that are there", () => {
    const text = readFileSync(join(root, "README.md"), "utf8");
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path);
    expect(links.length).toBeGreaterThan(0);
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("names commands that package.json has", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const text = readFileSync(join(root, "README.md"), "utf8");
    const named = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
