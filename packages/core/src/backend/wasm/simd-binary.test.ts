import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";

it("the SIMD binary in the repository is what its AssemblyScript compiles to", () => {
  const script = fileURLToPath(new URL("../../../../../scripts/build-simd.mjs", import.meta.url));
  expect(() => execFileSync(process.execPath, [script, "--check"], { stdio: "pipe" })).not.toThrow();
}, 120_000);
