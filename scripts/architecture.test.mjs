import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { architecture, PICTURE } from "./architecture.mjs";
import { root } from "./run.mjs";

describe("The page on the architecture", () => {
  const page = readFileSync(join(root, "docs", "architecture.md"), "utf8");

  it("shows the imports as they are; if not, run node scripts/architecture.mjs", () => {
    expect(readFileSync(PICTURE, "utf8") === architecture()).toBe(true);
  });

  it("names files that are there", () => {
    const files = [...page.matchAll(/`((?:packages|scripts)\/[^`\s]*\.\w+)`/g)].map(([, file]) => file);
    expect(files.length).toBeGreaterThan(15);
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});
