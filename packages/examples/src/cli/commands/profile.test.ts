import { afterEach, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { profile } from "./profile.js";
import { UsageError } from "../options/usage-error.js";

afterEach(() => void jest.restoreAllMocks());

async function printed(...args: string[]): Promise<string> {
  const log = jest.spyOn(console, "log").mockImplementation(() => undefined);
  await profile(args);
  return log.mock.calls.flat().join("\n");
}

it("shows time by kernel and by layer, and leaves no tensor behind", async () => {
  const forward = await printed("--backend", "wasm", "--batch", "1", "--depth", "2");
  expect(forward).toMatch(/UNet2DConditionModel on wasm.*batch 1, forward: [\d.]+ ms \(best of 5\), 0\.31 GFLOP/);
  expect(forward).toMatch(/^diffusion\.Conv2D +40 +[\d.]+ +[\d.]+ % +[\d.]+ +[\d.]+$/m);
  expect(forward).toMatch(/^down_blocks\.1 +DownBlock +1 +[\d.]+ +[\d.]+ % +[\d.]+$/m);
  expect(tf.memory().numTensors).toBe(0);

  const training = await printed("--backend", "wasm", "--batch", "1", "--train");
  expect(training).toMatch(/^diffusion\.Conv2DGradient +40 /m);
  expect(tf.memory().numTensors).toBe(0);
});

it("takes the UNet of a pipeline", async () => {
  const forward = await printed("--model", "portraits", "--backend", "wasm", "--batch", "1", "--tokens", "3");
  expect(forward).toMatch(/UNet2DConditionModel on wasm.*batch 1, forward: [\d.]+ ms \(best of 5\), 0\.19 GFLOP/);
});

it("refuses invalid sizes and unknown options", async () => {
  await expect(profile(["--batch", "0"])).rejects.toThrow("--batch 0: expected a whole number from 1");
  await expect(profile(["--layers"])).rejects.toThrow(UsageError);
});
