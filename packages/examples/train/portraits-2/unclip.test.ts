import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { CLIPTokenizer, openPipeline, useBackend } from "@tfjs-diffusion/core";
import { CLIPModel, UnCLIPTextProjModel } from "@tfjs-diffusion/core/models";
import { type UnCLIPImageVariationPipeline, UnCLIPPipeline } from "@tfjs-diffusion/core/pipelines";
import type { TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { writeFixedParts } from "../folder.js";
import { decoderConditioning, trainUnCLIPDecoder, withNone } from "./decoder.js";
import { trainEnlarger } from "./enlarger.js";
import { fixedParts } from "./folder.js";
import { trainPrior, type UnCLIPStageOptions } from "./prior.js";
import { clipConfig, SETTINGS } from "./settings.js";
import { captionStates } from "./towers.js";
import { writeUnCLIPFolders } from "./unclip-folder.js";

const root = mkdtempSync(join(tmpdir(), "unclip-"));
const clipFolder = join(root, "clip");
const tiny = { steps: 2, batchSize: 2, warmupSteps: 1, checkpointEvery: 2 };
const { quick } = SETTINGS;
const settings = {
  ...quick,
  trainingPictures: 4,
  prior: { ...quick.prior, ...tiny },
  decoder: { ...quick.decoder, ...tiny },
  enlarger: { ...quick.enlarger, ...tiny },
};
const to = { text: join(root, "text"), variation: join(root, "variation") };
let tokenizer: CLIPTokenizer;

/** All stages, two steps each, after a CLIP that has learned nothing. */
beforeAll(async () => {
  await useBackend("wasm");
  await writeFixedParts(join(root, "model"), fixedParts());
  tokenizer = await CLIPTokenizer.fromFolder(join(root, "model", "tokenizer"));
  const clip = new CLIPModel(clipConfig());
  clip.initialize(keyedNoise(1));
  await clip.save(clipFolder);
  clip.dispose();
  const folders = {
    clip: clipFolder,
    prior: await run("prior", trainPrior),
    decoder: await run("decoder", trainUnCLIPDecoder),
    enlarger: await run("enlarger", trainEnlarger),
  };
  await writeUnCLIPFolders(folders, tokenizer, to);
}, 300_000);
afterAll(() => rmSync(root, { recursive: true }));

/** Runs a stage to its end; returns the folder of the result. */
async function run(what: string, train: (options: UnCLIPStageOptions) => AsyncGenerator<TrainingStep, void>) {
  const before = tf.memory().numTensors;
  const folder = join(root, what, "result");
  const files = { checkpoint: join(root, what, "checkpoint.safetensors"), log: join(root, what, "loss.csv"), folder };
  const losses: number[] = [];
  for await (const { loss } of train({ settings, tokenizer, clipFolder, ...files })) losses.push(loss);
  expect(losses).toHaveLength(2);
  expect(losses.every(Number.isFinite)).toBe(true);
  expect(tf.memory().numTensors).toBe(before);
  return folder;
}

describe("unCLIP's networks, trained stage by stage", () => {
  it("make a folder that draws from a text", async () => {
    const pipeline = await openPipeline(to.text);
    expect(pipeline).toBeInstanceOf(UnCLIPPipeline);
    const { images, latents } = await (pipeline as UnCLIPPipeline).generate({
      prompt: "a woman with a red hat",
      numInferenceSteps: 2,
      priorNumInferenceSteps: 2,
      superResNumInferenceSteps: 2,
      seed: 1,
    });
    expect(images.shape).toEqual([1, 32, 32, 3]);
    tf.dispose([images, latents]);
    pipeline.dispose();
  });

  it("make a folder that varies a picture", async () => {
    const pipeline = (await openPipeline(to.variation)) as UnCLIPImageVariationPipeline;
    const image = tf.tidy(() => keyedNoise(2).uniform([32, 32, 3]).mul(255).round().div<tf.Tensor3D>(255));
    const options = { image, numInferenceSteps: 2, superResNumInferenceSteps: 2, seed: 1 };
    const { images, latents } = await pipeline.generate(options);
    expect(images.shape).toEqual([1, 32, 32, 3]);
    // The processor gives CLIP the picture in [-1, 1], as in its training.
    const own = tf.tidy(() => {
      const pixels = image.mul(2).sub<tf.Tensor3D>(1).expandDims<tf.Tensor4D>(0);
      const wanted = pipeline.parts.imageEncoder.forward(pixels).imageEmbeds;
      return pipeline.imageEmbeddings(image).sub(wanted).abs().max().dataSync()[0]!;
    });
    expect(own).toBeLessThan(1e-4);
    tf.dispose([images, latents, image]);
    pipeline.dispose();
  });

  it("read captions in training as the pipeline does", async () => {
    const pipeline = await UnCLIPPipeline.fromPretrained(to.text);
    const captions = ["a smiling man with a beard", "hat", ""];
    const { promptEmbeds } = pipeline.encodePrompts(captions);
    const own = captionStates(pipeline.parts.textEncoder, tokenizer, captions);
    for (const name of ["textEmbeds", "hiddenStates", "attentionMask"] as const) {
      const difference = tf.tidy(() => tf.sub(own[name], promptEmbeds[name]).abs().max().dataSync()[0]!);
      expect([name, difference]).toEqual([name, 0]);
    }
    tf.dispose([Object.values(promptEmbeds), Object.values(own)]);
    pipeline.dispose();
  });
});

describe("The decoder's conditioning", () => {
  it("has the learned embedding for a picture that is not shown, as guidance has", () => {
    tf.tidy(() => {
      const textProj = new UnCLIPTextProjModel({
        clip_embeddings_dim: 4,
        time_embed_dim: 6,
        cross_attention_dim: 5,
        clip_extra_context_tokens: 2,
      });
      textProj.initialize(keyedNoise(1));
      textProj
        .parameters()
        .get("learned_classifier_free_guidance_embeddings")!
        .assign(tf.tensor1d([1, 2, 3, 4]));
      const embeddings = keyedNoise(2).normal([1, 4]) as tf.Tensor2D;
      const twice = tf.concat([embeddings, embeddings]);
      const states = {
        textEmbeds: keyedNoise(3).normal([2, 4]) as tf.Tensor2D,
        hiddenStates: keyedNoise(4).normal([2, 3, 4]) as tf.Tensor3D,
        attentionMask: tf.tensor2d([1, 1, 0, 1, 0, 0], [2, 3]),
      };
      const own = decoderConditioning({ textProj }, withNone(textProj, twice, [false, true]), states);
      const guided = textProj.forward({
        imageEmbeddings: embeddings,
        promptEmbeds: states.textEmbeds,
        textEncoderHiddenStates: states.hiddenStates,
        doClassifierFreeGuidance: true,
      });
      expect(own.context.arraySync()).toEqual(guided.context.arraySync());
      expect(own.classLabels.arraySync()).toEqual(guided.classLabels.arraySync());
      expect(own.encoderAttentionMask.arraySync()).toEqual([
        [1, 1, 1, 1, 0],
        [1, 1, 1, 0, 0],
      ]);
      textProj.dispose();
    });
  });
});
