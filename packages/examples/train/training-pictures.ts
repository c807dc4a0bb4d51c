import * as tf from "@tensorflow/tfjs";
import { faceExample, type Face, type FaceKind } from "../datasets/faces/index.js";

/** A training set: pictures are rendered on first use and kept as bytes. */
export class TrainingPictures {
  readonly #examples: { face: Face; pixels: Uint8Array }[] = [];

  constructor(
    readonly kind: FaceKind,
    readonly seed: number,
    readonly size: number,
  ) {}

  face(index: number): Face {
    return this.#example(index).face;
  }

  /** [indices.length, kind.size, kind.size, 3] in [-1, 1]; the caller owns it. */
  batch(indices: readonly number[]): tf.Tensor4D {
    const { size } = this.kind;
    const length = size * size * 3;
    const pixels = new Float32Array(indices.length * length);
    indices.forEach((index, i) =>
      this.#example(index).pixels.forEach((byte, k) => (pixels[i * length + k] = byte / 127.5 - 1)),
    );
    return tf.tensor4d(pixels, [indices.length, size, size, 3]);
  }

  #example(index: number) {
    return (this.#examples[index] ??= faceExample(index, { seed: this.seed, split: "train", kind: this.kind }));
  }
}
