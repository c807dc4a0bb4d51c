/**
 * Trains the network that evaluates generated faces, on real pictures only, and measures it on 10,000 new ones.
 *
 *   node packages/examples/dist/classifier/classifier.js             trains (2 minutes, native), then measures
 *   node packages/examples/dist/classifier/classifier.js --measure   measures the shipped weights
 *   … --kind portraits                                             the same for the 32 x 32 pictures
 */
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { train, warmupCosine } from "@tfjs-diffusion/core/training";
import { keyedNoise, type KeyedNoise } from "@tfjs-diffusion/schedulers";
import { SingleBar } from "cli-progress";
import { faceBatch, visible, type Split } from "../datasets/faces/index.js";
import { loadClassifier, saveClassifier } from "./classifier-files.js";
import { classificationLoss, classifierConfig, FaceClassifier, targets } from "./classifier-model.js";
import { countOption, kindOption, scriptOptions } from "../train/script-options.js";

const { options } = scriptOptions({
  measure: { type: "boolean", default: false },
  steps: { type: "string", default: "4000" },
  batch: { type: "string", default: "64" },
  backend: { type: "string" },
  kind: { type: "string", default: "faces" },
  /** Default: the shipped one of that kind. */
  folder: { type: "string" },
});
const kind = kindOption(options.kind);
const folder = options.folder ?? fileURLToPath(new URL(`../../weights/${options.kind}-classifier`, import.meta.url));

/**
 * The pictures of training and measurement come from different seeds, which the diffusion model does not use.
 */
const TRAINING_SEED = 101;
const MEASURING_SEED = 102;
const MEASURED = 5000;

await useBackend(options.backend);
if (!options.measure) await trainClassifier();
await measureClassifier();

async function trainClassifier(): Promise<void> {
  const [steps, batchSize] = [countOption("steps", options.steps), countOption("batch", options.batch)];
  const classifier = new FaceClassifier(classifierConfig(kind));
  classifier.initialize(keyedNoise(TRAINING_SEED).at("weights"));
  const bar = new SingleBar({ format: "training [{bar}] {value}/{total} loss {loss} {eta_formatted} left" });
  bar.start(steps, 0, { loss: "" });
  const training = train({
    parameters: classifier.parameters(),
    loss: ({ firstSample, noise }) => {
      const indices = Array.from({ length: batchSize }, (_, i) => firstSample + i);
      const { pixels, faces } = faceBatch(indices, { seed: TRAINING_SEED, split: "any", kind });
      const pictures = tf.tensor4d(pixels, [batchSize, kind.size, kind.size, 3]);
      return classificationLoss(
        classifier.forward(augment(pictures, noise)),
        targets(faces, kind.attributes),
        kind.attributes,
      );
    },
    steps,
    batchSize,
    seed: TRAINING_SEED,
    optimizer: { weightDecay: 0.01 },
    schedule: warmupCosine({ learningRate: 2e-3, warmupSteps: 100, totalSteps: steps }),
    gradientClip: 1,
    emaDecay: 0.99,
  });
  for await (const { step, loss, withEma } of training) {
    bar.update(step, { loss: loss.toFixed(3) });
    if (step === steps) await withEma(() => saveClassifier(classifier, folder));
  }
  bar.stop();
  classifier.dispose();
}

/**
 * Adds small errors as in generated pictures, which the classifier learns to ignore: noise, a little blur, and slightly
 * wrong colours. Pixels may leave [-1, 1].
 */
function augment(pictures: tf.Tensor4D, noise: KeyedNoise): tf.Tensor4D {
  const each = [pictures.shape[0], 1, 1, 1];
  const blurred = tf.avgPool(pictures, 3, 1, "same");
  const blur = noise.at("blur").uniform(each).square().mul(0.5);
  const contrast = noise.at("contrast").uniform(each).mul(0.2).add(0.9);
  const tint = noise.at("tint").normal([pictures.shape[0], 1, 1, 3]).mul(0.04);
  const grain = noise.at("grain").normal(pictures.shape).mul(noise.at("strength").uniform(each).mul(0.2));
  return pictures.add(blurred.sub(pictures).mul(blur)).mul(contrast).add(tint).add(grain);
}

async function measureClassifier(): Promise<void> {
  const classifier = await loadClassifier(folder);
  console.log(`\nShare of attributes read right, of those visible, on real pictures that it was not trained on:\n`);
  const columns = await Promise.all((["seen", "held-out"] as const).map((split) => accuracies(classifier, split)));
  console.log(`| attribute | seen combinations | held-out combinations |\n|---|---|---|`);
  for (const name of [...kind.attributes, "mean", "all right"] as const) {
    console.log(`| ${name} | ${columns.map((column) => `${(100 * column[name]!).toFixed(2)} %`).join(" | ")} |`);
  }
  classifier.dispose();
}

async function accuracies(classifier: FaceClassifier, split: Split): Promise<Record<string, number>> {
  const right: Record<string, number[]> = { "all right": [] };
  for (let first = 0; first < MEASURED; first += 500) {
    const indices = Array.from({ length: 500 }, (_, i) => first + i);
    const { pixels, faces } = faceBatch(indices, { seed: MEASURING_SEED, split, kind });
    const pictures = tf.tensor4d(pixels, [faces.length, kind.size, kind.size, 3]);
    const readings = await classifier.read(pictures);
    pictures.dispose();
    faces.map(visible).forEach((want, i) => {
      const hits = kind.attributes
        .filter((name) => name in want)
        .map((name) => {
          const hit = Number(readings[i]![name] === want[name]);
          (right[name] ??= []).push(hit);
          return hit;
        });
      right["all right"]!.push(Math.min(...hits));
    });
  }
  const shares = Object.fromEntries(Object.entries(right).map(([name, hits]) => [name, mean(hits)]));
  return { ...shares, mean: mean(kind.attributes.map((name) => shares[name]!)) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
