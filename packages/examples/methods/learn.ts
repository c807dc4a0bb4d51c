import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { train, type TrainOptions, warmupCosine } from "@tfjs-diffusion/core/training";
import { type KeyedNoise, keyedNoise } from "@tfjs-diffusion/schedulers";
import { withProgress } from "../src/cli/terminal/progress.js";
import type { Batch, NetworkOptions, StudyNetwork, Subject } from "./subject.js";

/** What all trainings of a run share. */
export interface StudyRun<T extends tf.Tensor> {
  subject: Subject<T>;
  /** Steps of each training. */
  steps: number;
  batchSize: number;
  seed: number;
  /** Folder of the checkpoints, from which a stopped run goes on. Default: none are written. */
  folder?: string;
  signal?: AbortSignal;
  /** Shows a bar for each training. Default false. */
  showsProgress?: boolean;
}

/** A training of one network. */
export interface Lesson<T extends tf.Tensor> extends NetworkOptions {
  /** Names its checkpoint. */
  name: string;
  /** Another network, to begin with its weights. */
  from?: StudyNetwork<T>;
  /** Mean loss of a batch. */
  loss(network: StudyNetwork<T>, batch: Batch<T> & { noise: KeyedNoise; step: number }): tf.Scalar;
  /** Share of the run's steps. Default 1. */
  share?: number;
  learningRate?: number;
}

/** Trains a network; at the end its weights are their average over the last steps. The caller owns it. */
export async function learn<T extends tf.Tensor>(run: StudyRun<T>, lesson: Lesson<T>): Promise<StudyNetwork<T>> {
  const { subject, batchSize, seed, folder, signal, showsProgress = false } = run;
  const { name, from, loss, share = 1, learningRate = 2e-3, ...options } = lesson;
  const steps = Math.max(1, Math.round(share * run.steps));
  const network = subject.network(keyedNoise(seed).at(name), { ...from?.options, ...options });
  if (from) copyWeights(from, network);
  const training: TrainOptions = {
    parameters: network.parameters(),
    loss: ({ step, noise }) => loss(network, { ...subject.batch(batchSize, noise), noise: noise.at("loss"), step }),
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
    const made = train(training);
    for await (const _ of showsProgress ? withProgress(made, { label: name, total: steps }) : made);
    [...network.parameters().values()].forEach((variable, i) => variable.assign(averaged[i]!));
    return network;
  } catch (error) {
    network.dispose();
    throw error;
  } finally {
    tf.dispose(averaged);
  }
}

function copyWeights<T extends tf.Tensor>(from: StudyNetwork<T>, to: StudyNetwork<T>): void {
  const values = from.parameters();
  for (const [name, variable] of to.parameters()) variable.assign(values.get(name)!);
}
