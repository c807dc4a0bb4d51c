import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { readmeCode } from "./readme.mjs";
import { root } from "./run.mjs";

const text = readFileSync(join(root, "README.md"), "utf8");

describe("README", () => {
  it("fits on two screens", () => {
    expect(text.trim().split("\n").length).toBeLessThanOrEqual(90);
  });

  // docs-code.test.mjs runs it.
  it("begins with an example of at most 15 lines", () => {
    expect(readmeCode("js")[0].trim().split("\n").length).toBeLessThanOrEqual(15);
  });

  it("links to files that are there", () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path);
    expect(links.length).toBeGreaterThan(0);
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
