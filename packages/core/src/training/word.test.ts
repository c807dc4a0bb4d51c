import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { loadTextualInversion } from "../adapters/textual-inversion.js";
import { loadModel } from "../models/load-model.js";
import type { CLIPTextModel } from "../models/clip/clip-text-model.js";
import { useTestBackend } from "../testing/backend.js";
import { writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { CLIPTokenizer } from "../text/tokenizer.js";
import { openSafetensors } from "../weights/safetensors.js";
import { train } from "./train.js";
import { TrainableWord } from "./word.js";

let folder: string;
let tokenizer: CLIPTokenizer;
let textEncoder: CLIPTextModel;
let word: TrainableWord | undefined;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "word-"));
  await writeTinyStableDiffusion(folder);
  tokenizer = await CLIPTokenizer.fromFolder(join(folder, "tokenizer"));
});
beforeEach(async () => {
  textEncoder = (await loadModel(join(folder, "text_encoder"))) as CLIPTextModel;
});
afterEach(() => {
  word?.dispose();
  word = undefined;
  textEncoder.dispose();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The states of a text; the caller owns them. */
const states = (text: string, by: CLIPTokenizer, encoder = textEncoder) =>
  tf.tidy(() => encoder.forward(tf.tensor2d([by.encode(text)], undefined, "int32")).lastHiddenState);
const start = (vectors = 2) =>
  (word = new TrainableWord({ tokenizer, textEncoder, token: "<my-cat>", like: "a cat", vectors }));
const bits = (tensor: tf.Tensor) => [...tensor.dataSync()];

/** Trains the word so that its states become those of another text. */
async function teach(word: TrainableWord, like: string, steps: number): Promise<number[]> {
  const losses: number[] = [];
  const wanted = states(like, tokenizer);
  const loss = () => word.within(() => states("<my-cat> dog", word.tokenizer).sub(wanted).square().mean<tf.Scalar>());
  const options = { parameters: word.parameters(), loss, steps, batchSize: 1, seed: 0, schedule: 2e-2 };
  for await (const step of train({ ...options, optimizer: { weightDecay: 0 } })) losses.push(step.loss);
  wanted.dispose();
  return losses;
}

describe("A word in training", () => {
  it("begins as the mean of the words that it is like, and learns what no other text notices", async () => {
    const own = textEncoder.parameters().get("text_model.embeddings.token_embedding.weight")!;
    const likes = tokenizer.tokenize("a cat");
    const mean = tf.tidy(() => bits(tf.gather(own, tf.tensor1d(likes, "int32")).mean(0)));
    const [before] = [bits(states("a dog on a beach", tokenizer))];
    const taught = start();
    const [vectors] = [...taught.parameters().values()];
    expect(bits(vectors!)).toEqual([...mean, ...mean]);
    const others = [...textEncoder.parameters()].filter(([name]) => !name.includes("token_embedding"));
    const fixed = others.map(([, variable]) => bits(variable).join());

    const losses = await teach(taught, "dog dog dog", 40);
    expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
    expect(others.map(([, variable]) => bits(variable).join())).toEqual(fixed);
    expect(bits(states("a dog on a beach", taught.tokenizer))).toEqual(before);
  });

  it("is saved as diffusers saves it, and says the same in an encoder that loads it", async () => {
    const taught = start();
    await teach(taught, "dog dog dog", 5);
    const file = join(folder, "learned_embeds.safetensors");
    await taught.save(file);
    const { tensors, close } = await openSafetensors(file);
    expect([...tensors]).toEqual([
      ["<my-cat>", expect.objectContaining({ shape: [2, textEncoder.config.hidden_size] })],
    ]);
    await close();
    const here = taught.within(() => tf.keep(states("my <my-cat>", taught.tokenizer)));
    const other = (await loadModel(join(folder, "text_encoder"))) as CLIPTextModel;
    const there = states("my <my-cat>", await loadTextualInversion(file, { tokenizer, textEncoder: other }), other);
    expect(bits(there)).toEqual(bits(here));
    // The encoder itself keeps the word as it was learned.
    word!.dispose();
    word = undefined;
    expect(bits(states("my <my-cat>", taught.tokenizer))).toEqual(bits(here));
    tf.dispose([here, there]);
    other.dispose();
  });

  it("frees what it makes, and refuses known words, nothing to be like, and no vectors", () => {
    const shared = { tokenizer, textEncoder, token: "<my-cat>", like: "cat" };
    expect(() => new TrainableWord({ ...shared, token: "cat</w>" })).toThrow("in the vocabulary already");
    expect(() => new TrainableWord({ ...shared, like: " " })).toThrow('like is " "');
    expect(() => new TrainableWord({ ...shared, vectors: 0 })).toThrow("vectors is 0");
    const before = tf.memory().numTensors;
    start()
      .within(() => states("<my-cat>", word!.tokenizer))
      .dispose();
    word!.dispose();
    word = undefined;
    expect(tf.memory().numTensors).toBe(before);
  });
});
