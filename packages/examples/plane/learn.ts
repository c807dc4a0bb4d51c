import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { train, type TrainOptions, warmupCosine } from "@tfjs-diffusion/core/training";
import { type KeyedNoise, keyedNoise } from "@tfjs-diffusion/schedulers";
import { PlaneNetwork, type PlaneNetworkSizes } from "./network.js";
import type { PlaneSet } from "./sets.js";

/** What all trainings of a run share. */
export interface PlaneRun {
  set: PlaneSet;
  /** Steps of each training. */
  steps: number;
  batchSize: number;
  seed: number;
  /** Folder of the checkpoints, from which a stopped run goes on. Default: none are written. */
  folder?: string;
  signal?: AbortSignal;
}

/** A batch of a set: points [B, 2], and the class of each. The caller owns the points. */
export function batchOf(set: PlaneSet, size: number, noise: KeyedNoise): { x0: tf.Tensor2D; labels: number[] } {
  const random = noise.at("data").random();
  const points = Array.from({ length: size }, () => set.draw(random));
  return { x0: tf.tensor2d(points.map(({ at }) => [...at])), labels: points.map(({ label }) => label) };
}

/** A training of one network. */
export interface Lesson extends PlaneNetworkSizes {
  /** Names its checkpoint. */
  name: string;
  /** Another network, to begin with its weights. */
  from?: PlaneNetwork;
  /** Mean loss of a batch. */
  loss(network: PlaneNetwork, batch: { x0: tf.Tensor2D; labels: number[]; noise: KeyedNoise; step: number }): tf.Scalar;
  /** Share of the run's steps. Default 1. */
  share?: number;
  learningRate?: number;
}

/** Trains a network; at the end its weights are their average over the last steps. The caller owns it. */
export async function learn(run: PlaneRun, lesson: Lesson): Promise<PlaneNetwork> {
  const { set, batchSize, seed, folder, signal } = run;
  const { name, from, loss, share = 1, learningRate = 2e-3, ...sizes } = lesson;
  const steps = Math.max(1, Math.round(share * run.steps));
  const network = new PlaneNetwork(keyedNoise(seed).at(name), { ...(from ? shapeOf(from) : {}), ...sizes });
  if (from) copyWeights(from, network);
  const options: TrainOptions = {
    parameters: network.parameters(),
    loss: ({ step, noise }) => loss(network, { ...batchOf(set, batchSize, noise), noise: noise.at("loss"), step }),
    steps,
    batchSize,
    seed,
    optimizer: { weightDecay: 0 },
    schedule: warmupCosine({ learningRate, warmupSteps: Math.min(50, steps - 1), totalSteps: steps }),
    gradientClip: 1,
    emaDecay: 0.995,
    checkpoint: folder === undefined ? undefined : { to: join(folder, `${name}.checkpoint.safetensors`), every: 500 },
    signal,
    async onCheckpoint({ step, withEma }) {
      if (step === steps) averaged = await withEma(() => [...network.parameters().values()].map((v) => v.clone()));
    },
  };
  let averaged: tf.Tensor[] = [];
  try {
    for await (const _ of train(options));
    [...network.parameters().values()].forEach((variable, i) => variable.assign(averaged[i]!));
    return network;
  } catch (error) {
    network.dispose();
    throw error;
  } finally {
    tf.dispose(averaged);
  }
}

const shapeOf = ({ classes, timeScale, layers }: PlaneNetwork): PlaneNetworkSizes => ({
  classes,
  timeScale,
  width: layers[0]!.outFeatures,
});

function copyWeights(from: PlaneNetwork, to: PlaneNetwork): void {
  const values = from.parameters();
  for (const [name, variable] of to.parameters()) variable.assign(values.get(name)!);
}
