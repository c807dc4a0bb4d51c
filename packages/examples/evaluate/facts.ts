import * as tf from "@tensorflow/tfjs";
import { encodePng, imageGrid } from "@tfjs-diffusion/core";
import { faceBatch, faceExample, type Attribute, type Face, type FaceKind } from "../datasets/faces/index.js";
import { nearestDistances, paletteOf, quantile, shareNearPalette, totalVariation, valueShares } from "./pictures.js";
import { promptsOf, type Prompt } from "./prompts.js";
import { drawn, readings01, type Context, type FaceReader, type Setting } from "./context.js";

type Pair<T> = Record<"generated" | "real", T>;

/**
 * Measurements of generated pictures and of real ones of the same descriptions: half seen combinations, half held-out.
 */
export interface PictureFacts {
  /** Distance to the nearest training picture: its 5 % and 50 % quantiles. */
  readonly nearest: Pair<readonly [number, number]>;
  /** Share of pixels near a colour that real pictures have. */
  readonly nearPalette: Pair<number>;
  /** A sheet of the first pairs, real and generated: a PNG in base 64. */
  readonly sheet: string;
}

/** Measurements of pictures drawn from the empty prompt. */
export interface UnconditionalFacts {
  readonly shares: Record<Attribute, Record<string, number>>;
  readonly dataShares: Record<Attribute, Record<string, number>>;
  /** Total variation from the shares of the data: for the samples, and for the same number of real pictures. */
  readonly distance: Record<Attribute, { readonly samples: number; readonly real: number }>;
}

/** Pictures of each split that are compared with the training set and the palette. */
const PICTURES = 500;
const SHEET_PAIRS = 64;
const CHUNK = 5000;

export async function pictureFacts(context: Context, chosen: Setting): Promise<PictureFacts> {
  const { settings, store } = context;
  const count = Math.min(PICTURES, settings.prompts);
  return store.once(`pictures, guidance ${chosen.guidance}, steps ${chosen.steps}, ${count} a split`, async () => {
    const prompts = (["seen", "held-out"] as const).flatMap((split) =>
      promptsOf({ purpose: "reporting", split, style: "full" }, count, settings.kind),
    );
    const pictures = { generated: await drawnBytes(context, prompts, chosen), real: prompts.map(({ real }) => real) };
    const training = Array.from(
      { length: settings.trainingPictures },
      (_, index) => faceExample(index, { seed: settings.trainingSeed, split: "train", kind: settings.kind }).pixels,
    );
    const palette = paletteOf(training.slice(0, CHUNK));
    return {
      nearest: {
        generated: await nearestQuantiles(pictures.generated, training),
        real: await nearestQuantiles(pictures.real, training),
      },
      nearPalette: {
        generated: shareNearPalette(pictures.generated, palette),
        real: shareNearPalette(pictures.real, palette),
      },
      sheet: Buffer.from(await pairSheet(pictures, settings.kind.size)).toString("base64"),
    };
  });
}

export async function drawnBytes(
  context: Context,
  prompts: readonly Prompt[],
  setting: Setting,
): Promise<Uint8Array[]> {
  const bytes: Uint8Array[] = [];
  const texts = prompts.map(({ text }) => text);
  for await (const images of drawn(context, texts, setting, 0, "pictures")) {
    const values = (await images.data()) as Float32Array;
    const size = values.length / images.shape[0];
    for (let i = 0; i < values.length; i += size) {
      bytes.push(Uint8Array.from(values.subarray(i, i + size), (value) => Math.round(255 * value)));
    }
  }
  return bytes;
}

async function nearestQuantiles(pictures: Uint8Array[], training: Uint8Array[]): Promise<[number, number]> {
  const own = signedRows(pictures);
  const nearest = new Float32Array(pictures.length).fill(Infinity);
  for (let first = 0; first < training.length; first += CHUNK) {
    const others = signedRows(training.slice(first, first + CHUNK));
    (await nearestDistances(own, others)).forEach((d, i) => (nearest[i] = Math.min(nearest[i]!, d)));
    others.dispose();
  }
  own.dispose();
  return [quantile(nearest, 0.05), quantile(nearest, 0.5)];
}

/** Pictures as rows in [-1, 1]: [pictures.length, pixels * 3]; the caller owns them. */
export function signedRows(pictures: readonly Uint8Array[]): tf.Tensor2D {
  const size = pictures[0]!.length;
  const values = new Float32Array(pictures.length * size);
  pictures.forEach((bytes, row) => bytes.forEach((byte, i) => (values[row * size + i] = byte / 127.5 - 1)));
  return tf.tensor2d(values, [pictures.length, size]);
}

/** Real and generated pictures side by side: the first of each split, not selected. */
async function pairSheet({ real, generated }: Pair<Uint8Array[]>, size: number): Promise<Uint8Array> {
  const half = real.length / 2;
  const perSplit = Math.min(SHEET_PAIRS / 2, half);
  const indices = [0, half].flatMap((start) => Array.from({ length: perSplit }, (_, i) => start + i));
  const pairs = indices.flatMap((i) => [real[i]!, generated[i]!]);
  const sheet = tf.tidy(() => {
    const images = signedRows(pairs).add(1).div(2).reshape<tf.Tensor4D>([pairs.length, size, size, 3]);
    return imageGrid(images, { columns: 16, gap: 1, scale: 64 / size });
  });
  try {
    return await encodePng(sheet);
  } finally {
    sheet.dispose();
  }
}

export async function unconditionalFacts(context: Context, { steps }: Setting): Promise<UnconditionalFacts> {
  const { settings, store, classifier } = context;
  const count = settings.prompts;
  return store.once(`unconditional, steps ${steps}, ${count}`, async () => {
    const readings: Partial<Face>[] = [];
    const texts = new Array<string>(count).fill("");
    for await (const images of drawn(context, texts, { guidance: 1, steps }, 0, "without a prompt")) {
      readings.push(...(await readings01(classifier, images)));
    }
    const real = (first: number, number: number) => realReadings(classifier, first, number, settings);
    const shares = valueShares(readings, settings.kind.attributes);
    const dataShares = valueShares(await real(0, 10 * count), settings.kind.attributes);
    const otherShares = valueShares(await real(10 * count, count), settings.kind.attributes);
    const distance = (Object.keys(shares) as Attribute[]).map((name) => [
      name,
      {
        samples: totalVariation(shares[name], dataShares[name]),
        real: totalVariation(otherShares[name], dataShares[name]),
      },
    ]);
    return { shares, dataShares, distance: Object.fromEntries(distance) as UnconditionalFacts["distance"] };
  });
}

/** The attributes that the classifier recognises in training pictures. */
async function realReadings(
  classifier: FaceReader,
  first: number,
  count: number,
  { kind, trainingSeed: seed }: { kind: FaceKind; trainingSeed: number },
): Promise<Partial<Face>[]> {
  const readings: Partial<Face>[] = [];
  for (let at = first; at < first + count; at += CHUNK) {
    const indices = Array.from({ length: Math.min(CHUNK, first + count - at) }, (_, i) => at + i);
    const { pixels } = faceBatch(indices, { seed, split: "train", kind });
    const images = tf.tensor4d(pixels, [indices.length, kind.size, kind.size, 3]);
    readings.push(...(await classifier.read(images)));
    images.dispose();
  }
  return readings;
}
