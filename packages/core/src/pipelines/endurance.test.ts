import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, it } from "@jest/globals";
import { findChromium, inChromium, UNFINISHED } from "../../../schedulers/src/testing/in-chromium.js";
import { useBackend } from "../backend/use-backend.js";
import { type Endurance, endurance } from "../testing/endurance.js";

// Both are optional installations.
const native = await useBackend("node").then(
  () => undefined,
  (error: Error) => error.message,
);
if (native !== undefined) console.info(`The native backend is not tested here: ${native}`);

const require = createRequire(import.meta.url);
const file = require.resolve("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm");
const binary = `data:application/wasm;base64,${readFileSync(file).toString("base64")}`;
const page = new URL("../testing/endurance-page.ts", import.meta.url);
/** In the long campaign, `npm run fuzz`, there are more steps and backends. A headless browser has no graphics card. */
const isLong = process.env.FUZZ_MINUTES !== undefined;
const STEPS: Record<string, number> = isLong ? { wasm: 1000, cpu: 100, webgl: 20 } : { wasm: 100 };
const NATIVE_STEPS = isLong ? 1000 : 200;

function expectSound({ drawn, ended, exhausted }: Endurance, steps: number): void {
  expect(drawn).toEqual({ steps: expect.any(Number), leaked: 0 });
  expect(drawn.steps).toBeGreaterThanOrEqual(steps);
  expect(ended).toEqual({ errors: Array(5).fill(["enough", "mine", "mine"]).flat(), leaked: 0 });
  expect(exhausted).toEqual({ error: "BackendMemoryError", leaked: 0, drawsAsBefore: true });
}

describe("Many steps, drawings that end early and a full memory leave no tensor", () => {
  // The native backend and Chromium are optional installations.
  (native === undefined ? it : it.skip)(
    "on the native backend",
    async () => {
      await useBackend("node");
      expectSound(await endurance(NATIVE_STEPS), NATIVE_STEPS);
    },
    120_000,
  );

  (findChromium() ? it : it.skip).each(Object.entries(STEPS))(
    "in Chromium on %s",
    async (backend, steps) => {
      const found = await inChromium<Endurance | { failure: string }>(page, { backend, steps, binary }, 300);
      // A browser that does not start, or has no such backend, is no fault of the library; a page that crashes is.
      if ("none" in found && found.none !== UNFINISHED)
        return console.info(`Not tested in Chromium on ${backend}: ${found.none}`);
      expect(found).toHaveProperty("backend", backend);
      expectSound(found as Endurance, steps);
    },
    350_000,
  );
});
