import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { StableDiffusionPipeline } from "../pipelines/stable-diffusion/stable-diffusion.js";
import { useTestBackend } from "../testing/backend.js";
import { writeTinySingleFile, writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { openSafetensors } from "../weights/safetensors.js";
import { encodeSafetensors, type TensorToWrite } from "../weights/write-safetensors.js";
import { singleFileParts, type SingleFileOptions } from "./single-file.js";

const TEXT = { sd1: "cond_stage_model.transformer.", sd2: "cond_stage_model.model." };
const STEPS: TensorToWrite = { dtype: "I64", shape: [], data: BigInt64Array.of(875_000n) };
const MANY: TensorToWrite = { dtype: "I64", shape: [2], data: BigInt64Array.of(875_000n, 1n) };

/** Inspects a file with a few tensor names. */
async function partsOf(
  family: "sd1" | "sd2",
  metadata: Record<string, string>,
  more: Record<string, TensorToWrite> = {},
  options?: SingleFileOptions,
) {
  const empty: TensorToWrite = { dtype: "F16", shape: [0], data: new Float32Array(0) };
  const names = ["model.diffusion_model.out.0.bias", `${TEXT[family]}logit_scale`, "first_stage_model.x"];
  const tensors = { ...Object.fromEntries(names.map((name) => [name, empty])), ...more };
  const file = await openSafetensors(await encodeSafetensors(new Map(Object.entries(tensors)), metadata));
  const { schedulerConfig, unet } = await singleFileParts(file, options);
  await file.close();
  return [schedulerConfig.prediction_type, unet.model.config.sample_size];
}

describe("What a single file's network predicts", () => {
  it("comes from its metadata, or else from the publication of its family", async () => {
    expect(await partsOf("sd1", {})).toEqual(["epsilon", 64]);
    expect(await partsOf("sd2", {})).toEqual(["v_prediction", 96]);
    expect(await partsOf("sd2", { "modelspec.predict_key": "epsilon" })).toEqual(["epsilon", 64]);
    expect(await partsOf("sd2", { "modelspec.predict_key": "v" })).toEqual(["v_prediction", 96]);
    expect(await partsOf("sd1", { "modelspec.prediction_type": "v" })).toEqual(["v_prediction", 64]);
  });

  it("is noise for the 512 pixel base of Stable Diffusion 2, recognised by its number of steps", async () => {
    expect(await partsOf("sd2", {}, { global_step: STEPS })).toEqual(["epsilon", 64]);
    expect(await partsOf("sd2", {}, { global_step: MANY })).toEqual(["v_prediction", 96]);
    expect(await partsOf("sd1", {}, { global_step: STEPS })).toEqual(["epsilon", 64]);
  });

  it("is that of the caller, if given", async () => {
    const stated = { "modelspec.predict_key": "v" };
    expect(await partsOf("sd2", stated, {}, { predictionType: "epsilon" })).toEqual(["epsilon", 64]);
    expect(await partsOf("sd1", {}, {}, { predictionType: "v_prediction" })).toEqual(["v_prediction", 64]);
  });

  describe("in a whole pipeline", () => {
    let folder: string;
    beforeAll(async () => {
      await useTestBackend();
      folder = mkdtempSync(join(tmpdir(), "prediction "));
      await writeTinyStableDiffusion(folder);
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    it("comes from its scheduler's config", async () => {
      const file = await openSafetensors(await writeTinySingleFile(folder));
      const tensors = new Map<string, TensorToWrite>();
      for (const [name, { dtype, shape }] of file.tensors)
        tensors.set(name, { dtype, shape, data: await file.read(name) });
      const stated = await encodeSafetensors(tensors, { "modelspec.predict_key": "v" });
      await file.close();
      const open = async (options: SingleFileOptions) => {
        const pipeline = await StableDiffusionPipeline.fromSingleFile(stated, { config: folder, ...options });
        const { prediction_type } = pipeline.parts.scheduler.config;
        pipeline.dispose();
        return prediction_type;
      };
      const warn = jest.spyOn(console, "warn").mockImplementation(() => {});
      expect(await open({})).toBe("v_prediction");
      expect(warn).toHaveBeenCalledTimes(1); // The folder's scheduler says epsilon.
      warn.mockRestore();
      expect(await open({ predictionType: "epsilon" })).toBe("epsilon");
    });
  });
});
