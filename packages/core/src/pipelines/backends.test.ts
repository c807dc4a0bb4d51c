import { expect, it } from "@jest/globals";
import { useBackend } from "../backend/use-backend.js";
import { drawTiny } from "../testing/tiny-latent-pipeline.js";

it("A tiny Stable Diffusion draws the same picture on the cpu and the wasm backend, and leaves no tensor", async () => {
  await useBackend("cpu");
  const onCpu = await drawTiny();
  await useBackend("wasm");
  const onWasm = await drawTiny();
  expect([onCpu.leaked, onWasm.leaked]).toEqual([0, 0]);
  expect(onCpu.images).toHaveLength(16 * 16 * 3);
  expect(new Set(onCpu.images).size).toBeGreaterThan(100);
  // Pixels are in [0, 1]. The backends add float32 numbers in different orders; after a few steps the pictures still
  // differ by far less than 1/255.
  expect(Math.max(...onCpu.images.map((value, i) => Math.abs(value - onWasm.images[i]!)))).toBeLessThan(1e-4);
});
