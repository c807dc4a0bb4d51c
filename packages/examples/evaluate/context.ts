import * as tf from "@tensorflow/tfjs";
import { SingleBar } from "cli-progress";
import type { Face, FaceKind } from "../datasets/faces/index.js";
import type { ResultStore } from "./store.js";

/** Draws one picture per caption: [captions.length, size, size, 3] in [0, 1], which the caller owns. */
export type Sampler = (captions: string[], options: Setting & { seed: number }) => Promise<tf.Tensor4D>;

/** Reads the attributes of pictures [B, size, size, 3] in [-1, 1]; borrows them. */
export interface FaceReader {
  read(pixels: tf.Tensor4D): Promise<Partial<Face>[]>;
}

export interface EvaluationSettings {
  readonly kind: FaceKind;
  readonly guidances: readonly number[];
  readonly steps: readonly number[];
  readonly gridPrompts: number;
  readonly prompts: number;
  /** Sampling seeds of the reported setting. */
  readonly seeds: readonly number[];
  readonly batch: number;
  readonly trainingSeed: number;
  readonly trainingPictures: number;
}

export interface Setting {
  readonly guidance: number;
  readonly steps: number;
  /** The negative prompt, default "". */
  readonly negative?: string;
}

/** The sampler that draws pictures and the classifier that reads them. */
export interface Scoring {
  readonly sample: Sampler;
  readonly classifier: FaceReader;
  readonly settings: Pick<EvaluationSettings, "kind" | "batch">;
  readonly store: ResultStore;
}

/** Everything that an evaluation needs. */
export interface Context extends Scoring {
  readonly settings: EvaluationSettings;
}

/** Draws the texts with a progress bar: batches [n, size, size, 3] in [0, 1], each valid until the next. */
export async function* drawn(
  { sample, settings }: Pick<Scoring, "sample" | "settings">,
  texts: readonly string[],
  setting: Setting,
  seed: number,
  title: string,
): AsyncGenerator<tf.Tensor4D> {
  const bar = new SingleBar({ format: `[{bar}] {value}/{total} {eta_formatted} left | ${title}` });
  bar.start(texts.length, 0);
  try {
    for (let first = 0; first < texts.length; first += settings.batch) {
      const batch = texts.slice(first, first + settings.batch);
      const images = await sample(batch, { ...setting, seed: seed * 1_000_000 + first });
      try {
        yield images;
      } finally {
        images.dispose();
      }
      bar.update(first + batch.length);
    }
  } finally {
    bar.stop();
  }
}

/** The attributes that pictures in [0, 1] show. */
export async function readings01(classifier: FaceReader, images: tf.Tensor4D): Promise<Partial<Face>[]> {
  const signed = tf.tidy(() => images.mul(2).sub<tf.Tensor4D>(1));
  const readings = await classifier.read(signed);
  signed.dispose();
  return readings;
}
