/** DALL·E 2's way over HTTP: an unCLIP that draws from a text, and one that draws variations of a picture. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { decodePng, encodePng, openPipeline, type Pipeline, useBackend } from "@tfjs-diffusion/core";
import { pngTexts } from "@tfjs-diffusion/core/image";
import OpenAI from "openai";
import { writeTinyUnCLIP } from "../../../../core/src/testing/unclip.js";
import { ended, type Program, serve } from "../../../bench/programs.js";

let folder: string;
let text: string;
let variation: string;
let server: Program;
let openai: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "unclip server "));
  [text, variation] = [join(folder, "text"), join(folder, "variation")];
  await writeTinyUnCLIP(text, "text");
  await writeTinyUnCLIP(variation, "variation");
  server = await serve(["--model", text, "--model", variation]);
  openai = new OpenAI({ baseURL: `${server.at}/v1`, apiKey: "none", maxRetries: 0 });
  await useBackend("wasm");
});
afterAll(async () => {
  await ended(server);
  await rm(folder, { recursive: true });
});

/** What the library draws with the seed and the steps that a drawn file names. */
async function drawnAgain(model: string, file: Buffer, subject: object): Promise<number[]> {
  const { parameters } = pngTexts(file);
  const [, steps, seed] = /Steps: (\d+).*Seed: (\d+)/.exec(parameters!)!;
  const pipeline: Pipeline<object> = await openPipeline(model);
  const { images, latents } = await pipeline.generate({ ...subject, numInferenceSteps: +steps!, seed: +seed! });
  const values = tf.tidy(() => images.mul(255).round().div(255));
  const expected = Array.from(await values.data());
  tf.dispose([images, latents, values]);
  pipeline.dispose();
  return expected;
}

async function valuesOf(file: Buffer): Promise<number[]> {
  const picture = await decodePng(file);
  const values = Array.from(await picture.data());
  picture.dispose();
  return values;
}

describe("A server with models of unCLIP", () => {
  it("lists both", async () => {
    const { data } = await openai.models.list();
    expect(data.map(({ id }) => id)).toEqual([text, variation]);
  });

  it("draws variations of a picture exactly as the library does", async () => {
    const picture = tf.tensor3d(
      Array.from({ length: 16 * 16 * 3 }, (_, i) => (i % 256) / 255),
      [16, 16, 3],
    );
    const png = new Uint8Array(await encodePng(picture));
    const { data } = await openai.images.createVariation({
      model: variation,
      image: new File([png], "picture.png", { type: "image/png" }),
      n: 2,
      response_format: "b64_json",
    });
    const files = data!.map(({ b64_json }) => Buffer.from(b64_json!, "base64"));
    const [first, second] = await Promise.all(files.map(valuesOf));
    expect(first).toEqual(await drawnAgain(variation, files[0]!, { image: picture }));
    expect(second).not.toEqual(first);
    picture.dispose();
  });

  it("draws from a text", async () => {
    const prompt = "a red hat";
    const { data } = await openai.images.generate({ model: text, prompt, response_format: "b64_json" });
    const file = Buffer.from(data![0]!.b64_json!, "base64");
    expect(await valuesOf(file)).toEqual(await drawnAgain(text, file, { prompt }));
  });

  it("refuses what a model cannot do, by name", async () => {
    const black = tf.zeros<tf.Rank.R3>([16, 16, 3]);
    const image = new File([new Uint8Array(await encodePng(black))], "a.png", { type: "image/png" });
    black.dispose();
    const ofText = openai.images.createVariation({ model: text, image });
    await expect(ofText).rejects.toMatchObject({ status: 400, message: expect.stringContaining("'image'") });
    const ofPicture = openai.images.generate({ model: variation, prompt: "a hat" });
    await expect(ofPicture).rejects.toMatchObject({ status: 400, message: expect.stringContaining("'prompt'") });
  });
});
