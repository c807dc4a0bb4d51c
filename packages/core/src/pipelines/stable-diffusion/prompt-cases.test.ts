import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { loraTags } from "../../text/lora-tags.js";
import { promptChunks } from "../../text/prompt-chunks.js";
import { promptSchedule } from "../../text/prompt-schedule.js";
import { parsePromptWeights } from "../../text/prompt-weights.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath } from "../../testing/fixture.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { StableDiffusionPipeline } from "./stable-diffusion.js";

/** A case of fixtures/prompts/cases.json, which says where its values are from. */
interface Case {
  name: string;
  prompt: string;
  chunks?: number[][];
  /** Of each token of one chunk, or of each chunk. */
  weights?: number[] | number[][];
  texts?: [string, number][];
  states?: number[];
  statesSample?: Record<string, number[]>;
  statesRms?: number;
  steps?: number;
  schedule?: { fromStep: number; toStep: number; prompt: string; ids: number[][] }[];
  loras?: { name: string; scale: number }[];
  rest?: string;
  ids?: number[][];
}

const { cases } = JSON.parse(readFileSync(fixturePath("prompts/cases.json"), "utf8")) as { cases: Case[] };
const casesWith = (key: keyof Case) =>
  cases.filter((each) => key in each).map((each) => [each.name, each] as [string, Case]);

let folder: string;
let pipeline: StableDiffusionPipeline;

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "prompts "));
  await writeTinyStableDiffusion(folder);
  pipeline = await StableDiffusionPipeline.fromPretrained(folder);
});
afterAll(async () => {
  pipeline.dispose();
  await rm(folder, { recursive: true });
});

const chunksOf = (prompt: string) => promptChunks(pipeline.parts.tokenizer, prompt, { weighting: true });
const idsOf = (prompt: string) => chunksOf(prompt).map(({ ids }) => ids);

describe("A prompt is read as in transformers and AUTOMATIC1111", () => {
  it.each(casesWith("chunks"))("in chunks: %s", (_, { prompt, chunks }) => {
    expect(idsOf(prompt)).toEqual(chunks);
  });

  it.each(casesWith("weights"))("with a weight for each token: %s", (_, { prompt, weights }) => {
    const expected = Array.isArray(weights![0]) ? (weights as number[][]) : [weights as number[]];
    const got = chunksOf(prompt).map((chunk) => chunk.weights);
    expect(got).toEqual(expected.map((row) => row.map((weight) => expect.closeTo(weight, 9))));
  });

  it.each(casesWith("texts"))("with pieces of other weights: %s", (_, { prompt, texts }) => {
    const got = parsePromptWeights(loraTags(prompt).rest).map(({ text, weight }) => [text, weight]);
    expect(got).toEqual(texts!.map(([text, weight]) => [text, expect.closeTo(weight, 9)]));
  });

  it.each(casesWith("states"))("with states chunk by chunk: %s", (_, { prompt, states, statesSample, statesRms }) => {
    const { promptEmbeds } = pipeline.encodePrompts([prompt], { weighting: true });
    expect(promptEmbeds.shape).toEqual(states);
    const values = [...promptEmbeds.dataSync()];
    const width = states![2]!;
    for (const [place, want] of Object.entries(statesSample!)) {
      const token = Number(/, (\d+),/.exec(place)![1]);
      const got = [...values.slice(token * width, token * width + want.length)];
      for (const [i, value] of want.entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(1e-4);
    }
    const rms = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    expect(Math.abs(rms - statesRms!)).toBeLessThan(1e-4);
    promptEmbeds.dispose();
  });

  it.each(casesWith("schedule"))("edited over the steps: %s", (_, { prompt, steps, schedule }) => {
    const got = promptSchedule(prompt, steps!);
    for (const { fromStep, toStep, prompt: text, ids } of schedule!) {
      for (let step = fromStep; step <= toStep; step++) {
        const now = got.find(({ lastStep }) => step <= lastStep)!.prompt;
        expect(now).toBe(text);
        expect(idsOf(now)).toEqual(ids);
      }
    }
  });

  it.each(casesWith("loras"))("without its LoRA tags: %s", (_, { prompt, loras, rest, ids }) => {
    expect(loraTags(prompt)).toEqual({ loras, rest });
    if (ids) expect(idsOf(rest!)).toEqual(ids);
  });
});

describe("Chunks", () => {
  const words = (count: number) => Array<string>(count).fill("red").join(" ");
  const lengths = (prompt: string, options = {}) => {
    const { tokenizer } = pipeline.parts;
    const end = tokenizer.encode("", { maxLength: 2 })[1];
    return promptChunks(tokenizer, prompt, options).map(({ ids }) => ids.indexOf(end!) - 1);
  };

  it("move what stands behind a near comma, where that is asked for", () => {
    const prompt = `${words(60)}, ${words(30)}`;
    expect(lengths(prompt)).toEqual([75, 16]);
    expect(lengths(prompt, { commaPaddingBacktrack: 20 })).toEqual([61, 30]);
    expect(lengths(prompt, { commaPaddingBacktrack: 14 })).toEqual([75, 16]);
    expect(lengths(prompt, { commaPaddingBacktrack: 15 })).toEqual([61, 30]);
    // A comma that comes when the chunk is full begins the next one.
    expect(lengths(`${words(75)}, ${words(3)}`, { commaPaddingBacktrack: 20 })).toEqual([75, 4]);
  });

  it("do not split a word that was added with several tokens", () => {
    const tokenizer = pipeline.parts.tokenizer.withToken("<style>", [49408, 49409, 49410]);
    const ids = promptChunks(tokenizer, `${words(73)} <style> red`).map((chunk) => chunk.ids.slice(1, 5));
    expect(ids).toEqual([
      [736, 736, 736, 736],
      [49408, 49409, 49410, 736],
    ]);
  });

  it("are cut off behind the most that are allowed, which is told", () => {
    const { tokenizer } = pipeline.parts;
    let cut = "";
    const chunks = promptChunks(tokenizer, `${words(150)} a cube`, {
      maxEmbeddingsMultiples: 2,
      onTruncate: (text) => (cut = text),
    });
    expect([chunks.length, cut]).toEqual([2, "a cube"]);
  });

  it("free all but the states", () => {
    const before = tf.memory().numTensors;
    pipeline.encodePrompts([words(100), "a"], { weighting: true }).promptEmbeds.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
