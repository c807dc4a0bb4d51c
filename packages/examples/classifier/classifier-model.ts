import * as tf from "@tensorflow/tfjs";
import { Model } from "@tfjs-diffusion/core/models";
import { Conv2d, Linear } from "@tfjs-diffusion/core/nn";
import {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  FACES,
  visible,
  type Attribute,
  type Face,
  type FaceKind,
} from "../datasets/faces/index.js";

export interface FaceClassifierConfig {
  readonly _class_name: "FaceClassifier";
  /** Channels after each of the three convolutions; the second and third halve height and width. */
  readonly channels: readonly [number, number, number];
  readonly hidden: number;
  /** The attributes and their values, in the order of the logits. */
  readonly attributes: { readonly [A in Attribute]?: readonly string[] };
  /** Width and height of the pictures. Default 16. */
  readonly size?: number;
}

/** Config of the classifier for one kind of faces. */
export const classifierConfig = ({ size, attributes }: FaceKind): FaceClassifierConfig => ({
  _class_name: "FaceClassifier",
  channels: [32, 48, 64],
  hidden: 128,
  attributes: Object.fromEntries(attributes.map((name) => [name, ATTRIBUTES[name]])),
  size,
});

/** The index of each attribute's first logit. */
function logitOffsets(names: readonly Attribute[]): Map<Attribute, number> {
  let next = 0;
  return new Map(names.map((name) => [name, (next += ATTRIBUTES[name].length) - ATTRIBUTES[name].length]));
}

const logitCount = (names: readonly Attribute[]) => names.reduce((sum, name) => sum + ATTRIBUTES[name].length, 0);

/**
 * Recognises the attributes of a face: three convolutions, a hidden layer, and one softmax for each attribute. Faces
 * are always centred, so the hidden layer can depend on positions.
 */
export class FaceClassifier extends Model {
  readonly conv1: Conv2d;
  readonly conv2: Conv2d;
  readonly conv3: Conv2d;
  readonly hidden: Linear;
  readonly heads: Linear;
  readonly #names: readonly Attribute[];

  constructor(readonly config: FaceClassifierConfig = classifierConfig(FACES)) {
    super();
    const { size = FACES.size } = config;
    this.#names = Object.keys(config.attributes) as Attribute[];
    const [first, second, third] = config.channels;
    this.conv1 = new Conv2d(3, first);
    this.conv2 = new Conv2d(first, second, { stride: 2 });
    this.conv3 = new Conv2d(second, third, { stride: 2 });
    this.hidden = new Linear((size / 4) ** 2 * third, config.hidden);
    this.heads = new Linear(config.hidden, logitCount(this.#names));
  }

  /** Pixels [B, size, size, 3] in [-1, 1] to logits [B, sum of the numbers of values]. */
  forward(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => this.heads.forward(this.features(pixels)));
  }

  /** What it knows of pictures before it decides: pixels [B, size, size, 3] in [-1, 1] to [B, hidden]. */
  features(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      const full = this.conv1.forward(pixels).relu<tf.Tensor4D>();
      const half = this.conv2.forward(full).relu<tf.Tensor4D>();
      const quarter = this.conv3.forward(half).relu<tf.Tensor4D>();
      return this.hidden.forward(quarter.reshape<tf.Tensor2D>([pixels.shape[0], -1])).relu<tf.Tensor2D>();
    });
  }

  /**
   * The content of each picture: the most likely values of the attributes that are visible according to these values.
   */
  async read(pixels: tf.Tensor4D): Promise<Partial<Face>[]> {
    const logits = this.forward(pixels);
    const values = (await logits.data()) as Float32Array;
    logits.dispose();
    const count = values.length / pixels.shape[0];
    return Array.from({ length: pixels.shape[0] }, (_, row) =>
      visible(mostLikely(values.subarray(row * count, (row + 1) * count), this.#names)),
    );
  }
}

function mostLikely(logits: Float32Array, names: readonly Attribute[]): Face {
  const offsets = logitOffsets(names);
  return Object.fromEntries(
    names.map((name) => {
      const offset = offsets.get(name)!;
      const own = logits.subarray(offset, offset + ATTRIBUTES[name].length);
      return [name, ATTRIBUTES[name][own.indexOf(Math.max(...own))]];
    }),
  ) as Face;
}

/**
 * For each face, 1 at the logits of its visible attributes' values: [faces.length, logits]. The caller owns the result.
 */
export function targets(faces: readonly Face[], names: readonly Attribute[] = ATTRIBUTE_NAMES): tf.Tensor2D {
  const [offsets, count] = [logitOffsets(names), logitCount(names)];
  const hot = new Float32Array(faces.length * count);
  faces.forEach((face, row) => {
    for (const name of Object.keys(visible(face)) as Attribute[]) {
      const value = (ATTRIBUTES[name] as readonly (string | undefined)[]).indexOf(face[name]);
      hot[row * count + offsets.get(name)! + value] = 1;
    }
  });
  return tf.tensor2d(hot, [faces.length, count]);
}

/** Mean over pictures of the cross entropies, summed over the attributes that can be seen. */
export function classificationLoss(
  logits: tf.Tensor2D,
  targets: tf.Tensor2D,
  names: readonly Attribute[] = ATTRIBUTE_NAMES,
): tf.Scalar {
  return tf.tidy(() => {
    const logLikelihood = [...logitOffsets(names)].map(([name, offset]) =>
      tf.logSoftmax(logits.slice([0, offset], [-1, ATTRIBUTES[name].length])),
    );
    return tf.concat(logLikelihood, 1).mul(targets).sum().div(-logits.shape[0]);
  });
}
