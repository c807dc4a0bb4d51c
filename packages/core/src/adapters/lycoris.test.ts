import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import type { CLIPTextModel } from "../models/clip/clip-text-model.js";
import type { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, Golden, tinyLoraModels } from "../testing/fixture.js";
import { hasModules, PYTHON, runPython } from "../testing/python.js";
import { LoraSet } from "./lora.js";

const hasLycoris = hasModules("lycoris", "einops", "toml", "diffusers", "torch");
const itWithLycoris = hasLycoris ? it : it.skip;
if (!hasLycoris) console.info(`Skipped: ${PYTHON} has no lycoris-lora; PYTHON=… names another.`);

itWithLycoris(
  "what LyCORIS writes for kohya's scripts changes the networks as it does there, and leaves nothing unused",
  async () => {
    await useTestBackend();
    const folder = mkdtempSync(join(tmpdir(), "lycoris "));
    const methods = runPython("write_with_lycoris.py", fixturePath("tiny-stable-diffusion"), folder).split(",");
    const golden = await Golden.read(relative(fixturePath(""), folder), "out.safetensors");
    const models = (await tinyLoraModels()) as unknown as { unet: UNet2DConditionModel; text_encoder: CLIPTextModel };
    const loras = new LoraSet(models);
    const errors = () =>
      tf.tidy(() => {
        const ids = tf.tensor2d([[5, 17, 3, 250, 9]], undefined, "int32");
        const states = models.text_encoder.forward(ids).lastHiddenState;
        const sample = models.unet.forward(golden.tensor("x"), 500, states);
        return methods.map((name) => [golden.error(`${name}.states`, states), golden.error(`${name}.sample`, sample)]);
      });
    expect(methods.length).toBeGreaterThan(5);
    for (const [i, name] of methods.entries()) {
      expect(Math.max(...errors()[i]!)).toBeGreaterThan(1e-3);
      const { unused } = await loras.load(join(folder, `${name}.safetensors`), { strict: true });
      expect([name, unused]).toEqual([name, []]);
      // Ten times torch's own noise floor of 2e-6.
      expect([name, Math.max(...errors()[i]!) < 2e-5 || errors()[i]]).toEqual([name, true]);
      loras.unload();
    }
    loras.dispose();
    for (const model of Object.values(models)) model.dispose();
    rmSync(folder, { recursive: true });
  },
  600_000,
);
