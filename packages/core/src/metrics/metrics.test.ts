/** The metrics against numbers that numpy, scipy and scikit-image give (fixtures/metrics/make.py). */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, keyedRandom } from "@tfjs-diffusion/schedulers";
import { CLIPModel } from "../models/clip/clip-model.js";
import { useTestBackend } from "../testing/backend.js";
import { clipScore } from "./clip-score.js";
import { frechetDistance } from "./frechet-distance.js";
import { kernelDistance } from "./kernel-distance.js";
import { peakSignalToNoise, structuralSimilarity } from "./picture-similarity.js";
import { precisionRecall } from "./precision-recall.js";
import { symmetricEigenvalues } from "./symmetric-eigenvalues.js";

const stored = JSON.parse(
  readFileSync(new URL("../../fixtures/metrics/metrics.json", import.meta.url), "utf8"),
) as Record<"frechet" | "precisionRecall" | "psnr" | "ssim", [number, number]> & { kernel: number };

/** As make.py makes them. */
function rows(n: number, d: number, seed: number, scale = 1, shift = 0): number[][] {
  const at = (i: number, j: number) => scale * Math.sin((seed + 1) * (1 + i * 7.3 + j * 3.1) ** 1.3) + shift + 0.1 * j;
  return Array.from({ length: n }, (_, i) => Array.from({ length: d }, (_, j) => at(i, j)));
}
const [x, y] = [rows(40, 5, 0), rows(60, 5, 1, 0.7, 0.6)];

const SHAPE: [number, number, number, number] = [2, 16, 14, 3];
function pictures(): [tf.Tensor4D, tf.Tensor4D] {
  const a = Float64Array.from({ length: tf.util.sizeFromShape(SHAPE) }, (_, h) => Math.sin(0.37 * (1 + h) ** 1.1));
  const b = a.map((value, h) => Math.min(1, Math.max(-1, value + 0.3 * Math.cos(0.11 * h ** 1.2))));
  return [tf.tensor4d([...a], SHAPE), tf.tensor4d([...b], SHAPE)];
}

describe("Against numpy, scipy and scikit-image", () => {
  beforeAll(useTestBackend);

  it("the Fréchet distance is the same, also with fewer rows than features", () => {
    expect(frechetDistance(x, y)).toBeCloseTo(stored.frechet[0], 9);
    // Here scipy's root of a singular matrix is itself only good to about 1e-7.
    expect(frechetDistance(rows(6, 9, 2), rows(8, 9, 3, 1.2))).toBeCloseTo(stored.frechet[1], 6);
  });

  it("the kernel distance is the same", () => expect(kernelDistance(x, y)).toBeCloseTo(stored.kernel, 12));

  it("precision and recall are the same", () => {
    expect(precisionRecall(x, y)).toEqual({ precision: stored.precisionRecall[0], recall: stored.precisionRecall[1] });
  });

  it("peak signal-to-noise ratio and structural similarity are the same", async () => {
    const [a, b] = pictures();
    const before = tf.memory().numTensors;
    const [psnr, ssim] = [await peakSignalToNoise(a, b), await structuralSimilarity(a, b)];
    expect(tf.memory().numTensors).toBe(before);
    psnr.forEach((value, i) => expect(Math.abs(value - stored.psnr[i]!)).toBeLessThan(1e-4));
    // Float32 variances as differences of squares near 1: 1e-7, against K2's constant of 0.0036.
    ssim.forEach((value, i) => expect(Math.abs(value - stored.ssim[i]!)).toBeLessThan(3e-5));
    tf.dispose([a, b]);
  });
});

describe("The eigenvalues of a symmetric matrix", () => {
  it("are its diagonal if there is nothing else, and those of the second difference in closed form", () => {
    expect(
      [
        ...symmetricEigenvalues([
          [3, 0],
          [0, -1],
        ]),
      ].sort(),
    ).toEqual([-1, 3]);
    const n = 40;
    const matrix = Array.from({ length: n }, (_, i) =>
      Array.from({ length: n }, (_, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0)),
    );
    const expected = Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)));
    [...symmetricEigenvalues(matrix)]
      .sort((a, b) => a - b)
      .forEach((value, k) => expect(Math.abs(value - expected[k]!)).toBeLessThan(1e-13 * n));
  });

  it("have the trace of a full matrix as their sum, and that of its square as the sum of their squares", () => {
    const random = keyedRandom(0);
    const half = Array.from({ length: 30 }, () => Array.from({ length: 30 }, () => random.uniform() - 0.5));
    const matrix = half.map((row, i) => row.map((value, j) => value + half[j]![i]!));
    const values = symmetricEigenvalues(matrix);
    const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, value) => total + value, 0);
    expect(sum(values)).toBeCloseTo(sum(matrix.map((row, i) => row[i]!)), 11);
    expect(sum(values.map((value) => value ** 2))).toBeCloseTo(sum(matrix.flat().map((value) => value ** 2)), 11);
  });
});

describe("The kernel distance", () => {
  it("is unbiased: its mean over small samples of one distribution is 0", () => {
    const random = keyedRandom(1);
    const draw = () => Array.from({ length: 6 }, () => [random.uniform(), random.uniform()]);
    const values = Array.from({ length: 4000 }, () => kernelDistance(draw(), draw()));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    // Four standard errors. With the pairs of a row with itself, the mean would be ten times that.
    expect(Math.abs(mean)).toBeLessThan((4 * deviation) / Math.sqrt(values.length));
  });
});

describe("Precision and recall", () => {
  it("tell wrong pictures from missing ones", () => {
    const random = keyedRandom(2);
    const around = (centre: number, n: number) =>
      Array.from({ length: n }, () => [centre + random.uniform(), random.uniform()]);
    const real = [...around(0, 100), ...around(10, 100)];
    // Half of the drawn ones are right, and only one of the two kinds is drawn.
    const { precision, recall } = precisionRecall([...around(0, 100), ...around(50, 100)], real);
    expect(Math.abs(precision - 0.5)).toBeLessThan(0.05);
    expect(Math.abs(recall - 0.5)).toBeLessThan(0.05);
    expect(precisionRecall(real, real)).toEqual({ precision: 1, recall: 1 });
  });

  it("refuse too few rows, rows of two widths, and numbers that are not finite", () => {
    expect(() => precisionRecall(x.slice(0, 3), y)).toThrow("drawn has 3 rows; give at least 4");
    expect(() => precisionRecall(x, rows(9, 4, 0))).toThrow("row 0 of real has 4 numbers, the first row has 5");
    expect(() => kernelDistance([[1], [NaN]], [[1], [2]])).toThrow(
      "row 1 of rows contains a number that is not finite",
    );
    expect(() => frechetDistance([[1]], [[1], [2]])).toThrow("rows has 1 rows; give at least 2");
    expect(() => precisionRecall(x, y, 0)).toThrow("k is 0");
  });
});

describe("Similarity of pictures", () => {
  beforeAll(useTestBackend);

  it("is 20 dB where all pixels are off by a tenth of the range, and infinite for equal pictures", async () => {
    const black = tf.fill<tf.Rank.R4>([2, 4, 4, 3], -1);
    const off = tf.concat<tf.Tensor4D>([tf.fill([1, 4, 4, 3], -0.8), tf.fill([1, 4, 4, 3], 1)]);
    const [tenth, opposite] = await peakSignalToNoise(black, off);
    expect(tenth).toBeCloseTo(20, 4);
    expect(opposite).toBeCloseTo(0, 4);
    expect(await peakSignalToNoise(black, black)).toEqual([Infinity, Infinity]);
    tf.dispose([black, off]);
  });

  it("is 1 for a picture with itself, symmetric, and as large in [0, 1] with its range", async () => {
    const [a, b] = pictures();
    (await structuralSimilarity(a, a)).forEach((value) => expect(value).toBeCloseTo(1, 6));
    const [ab, ba] = [await structuralSimilarity(a, b), await structuralSimilarity(b, a)];
    ab.forEach((value, i) => expect(value).toBeCloseTo(ba[i]!, 5));
    const [halfA, halfB] = [a.div<tf.Tensor4D>(2), b.div<tf.Tensor4D>(2)];
    (await structuralSimilarity(halfA, halfB, { range: 1 })).forEach((value, i) =>
      expect(value).toBeCloseTo(ab[i]!, 4),
    );
    tf.dispose([a, b, halfA, halfB]);
  });

  it("refuses two shapes, and pictures smaller than the window", async () => {
    const [a, small] = [tf.zeros<tf.Rank.R4>([1, 16, 16, 3]), tf.zeros<tf.Rank.R4>([1, 8, 8, 3])];
    await expect(peakSignalToNoise(a, small)).rejects.toThrow("two batches [B, H, W, C] of the same shape");
    await expect(structuralSimilarity(small, small)).rejects.toThrow("the window needs 11");
    await expect(structuralSimilarity(a, a, { range: 0 })).rejects.toThrow("range is 0");
    tf.dispose([a, small]);
  });
});

describe("clipScore", () => {
  beforeAll(useTestBackend);

  it("is 100 times the cosine of a picture's and its text's vectors, and 0 for negative ones", async () => {
    const clip = new CLIPModel({
      projection_dim: 8,
      text_config: {
        vocab_size: 20,
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
      },
      vision_config: {
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        image_size: 8,
        patch_size: 4,
      },
    });
    clip.initialize(keyedNoise(2));
    const ids = tf.tensor2d(
      [
        [1, 2, 19],
        [1, 5, 19],
        [1, 7, 19],
        [1, 9, 19],
      ],
      undefined,
      "int32",
    );
    const pixels = keyedNoise(1).normal([4, 8, 8, 3]) as tf.Tensor4D;
    const before = tf.memory().numTensors;
    const scores = await clipScore(clip, ids, pixels);
    expect(tf.memory().numTensors).toBe(before);
    const { logitsPerText, ...rest } = clip.forward(ids, pixels);
    const [logits, scale] = [logitsPerText.arraySync(), Math.exp(clip.logit_scale.value.dataSync()[0]!)];
    const cosines = logits.map((row, i) => row[i]! / scale);
    expect(cosines.some((cosine) => cosine < 0) && cosines.some((cosine) => cosine > 0)).toBe(true);
    scores.forEach((score, i) => expect(score).toBeCloseTo(100 * Math.max(0, cosines[i]!), 3));
    await expect(clipScore(clip, ids, pixels.slice(0, 2))).rejects.toThrow("4 texts for 2 pictures");
    tf.dispose([ids, pixels, logitsPerText, Object.values(rest)]);
    clip.dispose();
  });
});
