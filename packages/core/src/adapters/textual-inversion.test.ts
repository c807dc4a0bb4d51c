import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { StableDiffusionPipeline } from "../pipelines/stable-diffusion/stable-diffusion.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath, Golden } from "../testing/fixture.js";
import { loadTextualInversion } from "./textual-inversion.js";
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

it("adds words of one and of several vectors, as diffusers does, which are saved with the pipeline", async () => {
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

it("refuses known or missing words and vectors of another width, and changes nothing", async () => {
  const { vocab_size } = pipeline.parts.textEncoder.config;
  await expect(pipeline.loadTextualInversion(STYLE)).rejects.toThrow(
    'does not name its word; give one: pipeline.loadTextualInversion(file, "<my-style>")',
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

it("adds all words in the file of a LoRA, or the one that is named", async () => {
  const bundle = fixturePath("lora-cases/bundle-emb.safetensors");
  const { vocab_size: first } = pipeline.parts.textEncoder.config;
  await pipeline.loadTextualInversion(bundle);
  const ids = (text: string) => pipeline.parts.tokenizer.encode(text).slice(0, 5);
  expect(ids("a mystyle cat").slice(2, 4)).toEqual([first, first + 1]);
  expect(pipeline.parts.textEncoder.config.vocab_size).toBe(first + 2);
  const vectors = (count: number, value: number) =>
    ({ dtype: "F32", shape: [count, 16], data: new Float32Array(16 * count).fill(value) }) as const;
  const several = await encodeSafetensors({
    "bundle_emb.<one>.clip_l": vectors(1, 1),
    "bundle_emb.v1.5-look.string_to_param.*": vectors(2, 2),
  });
  await expect(pipeline.loadTextualInversion(several, "<third>")).rejects.toThrow("it has <one>, v1.5-look");
  await pipeline.loadTextualInversion(several);
  expect(ids("<one> v1.5-look").slice(1, 4)).toEqual([first + 2, first + 3, first + 4]);
  const table = pipeline.parts.textEncoder.parameters().get("text_model.embeddings.token_embedding.weight")!;
  expect([...table.slice([first + 2, 0], [3, 1]).dataSync()]).toEqual([1, 2, 2]);
  await pipeline.loadTextualInversion(bundle, "<renamed>");
  expect(ids("<renamed>").slice(1, 3)).toEqual([first + 5, first + 6]);
  const output = await encodeSafetensors({
    "bundle_emb.a.clip_l": vectors(1, 1),
    "bundle_emb.a.clip_l_out": vectors(1, 1),
  });
  await expect(pipeline.loadTextualInversion(output)).rejects.toThrow("bundle_emb.a.clip_l_out would be added to");
});

it("takes the vectors of SDXL's files by their key, where those of both encoders have its width", async () => {
  const { tokenizer, textEncoder } = pipeline.parts;
  const vectors = (value: number) =>
    ({ dtype: "F32", shape: [1, 16], data: new Float32Array(16).fill(value) }) as const;
  const file = await encodeSafetensors({ clip_l: vectors(1), clip_g: vectors(2) });
  const shared = { tokenizer, textEncoder, token: "<both>" };
  await expect(loadTextualInversion(file, shared)).rejects.toThrow("expected one tensor [16]");
  const { vocab_size: first } = textEncoder.config;
  const warn = jest.spyOn(console, "warn").mockImplementation(() => undefined);
  for (const [i, key] of (["clip_l", "clip_g"] as const).entries()) {
    await loadTextualInversion(file, { ...shared, key });
    const table = textEncoder.parameters().get("text_model.embeddings.token_embedding.weight")!;
    expect([...table.slice([first + i, 0], [1, 1]).dataSync()]).toEqual([i + 1]);
  }
  // What the other encoder would take is told.
  expect(warn.mock.calls.map(([text]) => String(text).split(": ").at(-1))).toEqual(["clip_g.", "clip_l."]);
  warn.mockRestore();
});

it("refuses ids outside the vocabulary", () => {
  const ids = tf.tensor2d([[0, 49408]], undefined, "int32");
  expect(() => pipeline.parts.textEncoder.forward(ids)).toThrow("ids hold 49408; expected tokens from 0 to 49407");
  ids.dispose();
});
