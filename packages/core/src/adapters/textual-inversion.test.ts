import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { StableDiffusionPipeline } from "../pipelines/stable-diffusion/stable-diffusion.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, Golden } from "../testing/fixture.js";
import { writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { encodeSafetensors, type TensorToWrite } from "../weights/write-safetensors.js";

const CAT = fixturePath("textual_inversion/learned_embeds.safetensors");
const STYLE = fixturePath("textual_inversion/a1111_style.safetensors");
/** The prompts of the fixture's meta.json. */
const PROMPTS = ["a photo of <cat-toy> on a beach", "<my-style> portrait, <cat-toy>", "no placeholder"];

let folder: string;
let pipeline: StableDiffusionPipeline;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "textual inversion "));
  await writeTinyStableDiffusion(folder);
});
beforeEach(async () => {
  pipeline?.dispose();
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
});
afterAll(() => {
  pipeline.dispose();
  rmSync(folder, { recursive: true });
});

function check(golden: Golden, { tokenizer, textEncoder }: StableDiffusionPipeline["parts"]): void {
  tf.tidy(() => {
    const ids = tf.tensor2d(
      PROMPTS.map((prompt) => tokenizer.encode(prompt)),
      undefined,
      "int32",
    );
    expect([...ids.dataSync()]).toEqual([...golden.tensor("out.input_ids").dataSync()]);
    // Torch's noise floor of a text encoder is 4e-7.
    expect(golden.error("out.prompt_embeds", textEncoder.forward(ids).lastHiddenState)).toBeLessThan(1e-5);
  });
}

it("teaches words of one vector and of several, as diffusers does, and they are saved with the pipeline", async () => {
  const golden = await Golden.read("textual_inversion");
  const before = tf.memory().numTensors;
  await pipeline.loadTextualInversion(CAT);
  await pipeline.loadTextualInversion(STYLE, "<my-style>");
  expect(tf.memory().numTensors).toBe(before);
  check(golden, pipeline.parts);
  const { tokenizer } = pipeline.parts;
  expect(tokenizer.decode(tokenizer.encode("A <my-style> cat"))).toBe("a <my-style> cat");

  const copy = join(folder, "copy");
  await pipeline.savePretrained(copy);
  const again = await StableDiffusionPipeline.fromPretrained(copy);
  check(golden, again.parts);
  again.dispose();
});

it("refuses words that are known or not given, and vectors of another width, and changes nothing", async () => {
  const { vocab_size } = pipeline.parts.textEncoder.config;
  await expect(pipeline.loadTextualInversion(STYLE)).rejects.toThrow(
    'does not name its word; give one, such as { token: "<my-style>" }',
  );
  await expect(pipeline.loadTextualInversion(CAT, "cat</w>")).rejects.toThrow("is in the vocabulary already");
  await expect(pipeline.loadTextualInversion(CAT, " ")).rejects.toThrow("is empty");
  const lora = fixturePath("lora/peft/pytorch_lora_weights.safetensors");
  await expect(pipeline.loadTextualInversion(lora)).rejects.toThrow("expected one tensor [16] or [n, 16]");
  const wrong: [shape: number[], TensorToWrite["dtype"], TensorToWrite["data"]][] = [
    [[0, 16], "F32", new Float32Array()],
    [[16], "I64", new BigInt64Array(16)],
    [[1, 1, 16], "F32", new Float32Array(16)],
  ];
  for (const [shape, dtype, data] of wrong) {
    const bytes = await encodeSafetensors({ "<w>": { dtype, shape, data } });
    await expect(pipeline.loadTextualInversion(bytes)).rejects.toThrow(
      `expected one tensor [16] or [n, 16], of floats, the text encoder's width; it has <w> [${shape.join(", ")}] ${dtype}`,
    );
  }
  expect(pipeline.parts.textEncoder.config.vocab_size).toBe(vocab_size);
});

it("does not read ids that are outside the vocabulary", () => {
  const ids = tf.tensor2d([[0, 49408]], undefined, "int32");
  expect(() => pipeline.parts.textEncoder.forward(ids)).toThrow(
    "ids hold 49408; this model knows the tokens 0 to 49407",
  );
  ids.dispose();
});
