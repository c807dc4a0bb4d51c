import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { sbom } from "./sbom.mjs";

const root = join(import.meta.dirname, "..");
const read = (...path) => readFileSync(join(root, ...path), "utf8");

describe("The bill of materials", () => {
  it("lists every package of the lockfile with the hash of its archive", () => {
    const { components, specVersion } = sbom();
    expect(specVersion).toBe("1.5");
    expect(components).toHaveLength(read("pnpm-lock.yaml").match(/integrity: sha512-/g).length);
    for (const { purl, hashes } of components) {
      expect(purl).toMatch(/^pkg:npm\/(%40[\w.-]+\/)?[\w.-]+@\d/);
      expect(hashes[0].content).toMatch(/^[0-9a-f]{128}$/);
    }
    expect(components.map(({ name }) => name)).toContain("core-js");
  });
});

describe("Install scripts", () => {
  /** The packages that are installed here and have one. */
  function withInstallScript() {
    const store = join(root, "node_modules", ".pnpm");
    const found = new Set();
    for (const entry of readdirSync(store)) {
      const [, scope, name] = /^(?:(@[^+]+)\+)?([^@]+)@/.exec(entry) ?? [];
      const path = join(store, entry, "node_modules", scope ?? "", name ?? "", "package.json");
      if (name === undefined || !existsSync(path)) continue;
      const { scripts = {}, name: full } = JSON.parse(readFileSync(path, "utf8"));
      if (["preinstall", "install", "postinstall"].some((script) => script in scripts)) found.add(full);
    }
    return [...found].sort();
  }

  it("are run for no package: those that have one are listed, and everything works without", () => {
    const listed = /ignoredBuiltDependencies:\n((?: {2}- .*\n)+)/.exec(read("pnpm-workspace.yaml"))[1];
    const ignored = listed
      .trim()
      .split("\n")
      .map((line) => line.replace(/[\s"-]*([^"]*)"?$/, "$1").trim());
    const found = withInstallScript();
    expect(found).toContain("core-js");
    expect(found.filter((name) => !ignored.includes(name))).toEqual([]);
  });
});
