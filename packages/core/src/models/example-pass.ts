import * as tf from "@tensorflow/tfjs";
import { type ClassLabels, type ConditionalDenoiser, type Denoiser, isConditionalDenoiser } from "./denoiser.js";

/** One forward pass of a network on noise, to be measured, and what it reads. */
export interface ExamplePass {
  /** May be called again and again; the caller owns each result. */
  forward(): tf.Tensor;
  /** The caller owns them. */
  inputs: Record<string, tf.Tensor>;
}

/** What the inputs of an example pass are made of. */
export interface ExampleNoise {
  readonly batch: number;
  /** Words of a text, where a network reads states of any number of words. */
  readonly tokens: number;
  /** Standard normal noise, [batch, ...shape], which the caller owns. */
  normal<T extends tf.Tensor>(...shape: number[]): T;
}

/** A time within a thousand training steps. */
export const EXAMPLE_TIME = 500;

/** Height and width of a sample where the config names none. */
const SAMPLE_SIZE = [64, 64] as const;

/** SDXL tells six numbers of a picture's size. */
const TIME_IDS = 6;

/** What a denoiser says of what it reads. */
type Sizes = Pick<Denoiser, "inChannels" | "sampleSize" | "classLabels">;
type ConditionalSizes = Sizes & Pick<ConditionalDenoiser, "contextWidth" | "addedText">;

/** A pass of any denoiser: its sizes say what it reads. */
export function denoiserPass(network: Denoiser | ConditionalDenoiser, noise: ExampleNoise): ExamplePass {
  if (isConditionalDenoiser(network)) {
    const { x, context, ...added } = conditionalInputs(network, noise);
    return { forward: () => network.forward(x, EXAMPLE_TIME, context, added), inputs: { x, context, ...added } };
  }
  const { x, ...added } = inputs(network, noise);
  return { forward: () => network.forward(x, EXAMPLE_TIME, added), inputs: { x, ...added } };
}

/** A sample, a context, and what else a conditional network says that it reads. The caller owns them. */
export function conditionalInputs(network: ConditionalSizes, noise: ExampleNoise) {
  const { contextWidth, addedText } = network;
  return {
    ...inputs(network, noise),
    context: noise.normal<tf.Tensor3D>(noise.tokens, contextWidth),
    ...(addedText && {
      timeIds: noise.normal<tf.Tensor2D>(TIME_IDS),
      textEmbeds: noise.normal<tf.Tensor2D>(addedText.width - TIME_IDS * addedText.timeIdWidth),
    }),
  };
}

function inputs({ inChannels, sampleSize = SAMPLE_SIZE, classLabels }: Sizes, noise: ExampleNoise) {
  return {
    x: noise.normal<tf.Tensor4D>(...sampleSize, inChannels),
    ...(classLabels && { classLabels: exampleLabels(classLabels, noise) }),
  };
}

/** The first class, the time 0, or a vector of noise. */
function exampleLabels(labels: ClassLabels, noise: ExampleNoise): tf.Tensor {
  return labels.kind === "vectors" ? noise.normal(labels.width) : tf.zeros([noise.batch], "int32");
}
