import * as tf from "@tensorflow/tfjs";
import { Conv2d, Linear, Model } from "@tfjs-diffusion/core";
import { ATTRIBUTE_NAMES, ATTRIBUTES, FACE_SIZE, visible, type Attribute, type Face } from "../datasets/faces/index.js";

export interface FaceClassifierConfig {
  readonly _class_name: "FaceClassifier";
  /** Channels after each of the three convolutions; the second and third halve height and width. */
  readonly channels: readonly [number, number, number];
  readonly hidden: number;
  /** The attributes and their values, in the order of the logits. */
  readonly attributes: { readonly [A in Attribute]: readonly string[] };
}

export const CLASSIFIER_CONFIG: FaceClassifierConfig = {
  _class_name: "FaceClassifier",
  channels: [32, 48, 64],
  hidden: 128,
  attributes: ATTRIBUTES,
};

/** Where each attribute's logits begin, and the number of them all. */
const LOGIT_OFFSETS = new Map<Attribute, number>();
let logitCount = 0;
for (const name of ATTRIBUTE_NAMES) {
  LOGIT_OFFSETS.set(name, logitCount);
  logitCount += ATTRIBUTES[name].length;
}

/**
 * Reads the attributes off a 16 x 16 face: three convolutions, a hidden layer and one softmax an attribute.
 * Faces are always centred, so the hidden layer sees where things are.
 */
export class FaceClassifier extends Model {
  readonly conv1: Conv2d;
  readonly conv2: Conv2d;
  readonly conv3: Conv2d;
  readonly hidden: Linear;
  readonly heads: Linear;

  constructor(readonly config: FaceClassifierConfig = CLASSIFIER_CONFIG) {
    super();
    const [first, second, third] = config.channels;
    this.conv1 = new Conv2d(3, first);
    this.conv2 = new Conv2d(first, second, { stride: 2 });
    this.conv3 = new Conv2d(second, third, { stride: 2 });
    this.hidden = new Linear((FACE_SIZE / 4) ** 2 * third, config.hidden);
    this.heads = new Linear(config.hidden, logitCount);
  }

  /** Pixels [B, 16, 16, 3] in [-1, 1] to logits [B, sum of the numbers of values]. */
  forward(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      const full = this.conv1.forward(pixels).relu<tf.Tensor4D>();
      const half = this.conv2.forward(full).relu<tf.Tensor4D>();
      const quarter = this.conv3.forward(half).relu<tf.Tensor4D>();
      const hidden = this.hidden.forward(quarter.reshape<tf.Tensor2D>([pixels.shape[0], -1])).relu<tf.Tensor2D>();
      return this.heads.forward(hidden);
    });
  }

  /** What each picture shows: the most likely values of the attributes that, by those values, can be seen. */
  async read(pixels: tf.Tensor4D): Promise<Partial<Face>[]> {
    const logits = this.forward(pixels);
    const values = (await logits.data()) as Float32Array;
    logits.dispose();
    return Array.from({ length: pixels.shape[0] }, (_, row) =>
      visible(mostLikely(values.subarray(row * logitCount, (row + 1) * logitCount))),
    );
  }
}

function mostLikely(logits: Float32Array): Face {
  return Object.fromEntries(
    ATTRIBUTE_NAMES.map((name) => {
      const offset = LOGIT_OFFSETS.get(name)!;
      const own = logits.subarray(offset, offset + ATTRIBUTES[name].length);
      return [name, ATTRIBUTES[name][own.indexOf(Math.max(...own))]];
    }),
  ) as Face;
}

/** Row by row, 1 at the logit of each visible attribute's value: [faces.length, logits]. The caller owns the result. */
export function targets(faces: readonly Face[]): tf.Tensor2D {
  const hot = new Float32Array(faces.length * logitCount);
  faces.forEach((face, row) => {
    for (const name of Object.keys(visible(face)) as Attribute[]) {
      const value = (ATTRIBUTES[name] as readonly (string | undefined)[]).indexOf(face[name]);
      hot[row * logitCount + LOGIT_OFFSETS.get(name)! + value] = 1;
    }
  });
  return tf.tensor2d(hot, [faces.length, logitCount]);
}

/** Mean over pictures of the cross entropies, summed over the attributes that can be seen. */
export function classificationLoss(logits: tf.Tensor2D, targets: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => {
    const logLikelihood = ATTRIBUTE_NAMES.map((name) =>
      tf.logSoftmax(logits.slice([0, LOGIT_OFFSETS.get(name)!], [-1, ATTRIBUTES[name].length])),
    );
    return tf.concat(logLikelihood, 1).mul(targets).sum().div(-logits.shape[0]);
  });
}
