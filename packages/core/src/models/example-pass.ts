import * as tf from "@tensorflow/tfjs";
import { type ClassLabels, type ConditionalDenoiser, type Denoiser, isConditionalDenoiser } from "./denoiser.js";

/** One forward pass of a network on noise, for measurements, and its inputs. */
export interface ExamplePass {
  /** Can be called repeatedly; the caller owns each result. */
  forward(): tf.Tensor;
  /** The caller owns them. */
  inputs: Record<string, tf.Tensor>;
}

/** The source of the inputs of an example pass. */
export interface ExampleNoise {
  readonly batch: number;
  /** Number of text tokens, for a network that reads any number of them. */
  readonly tokens: number;
  /** Standard normal noise, [batch, ...shape], which the caller owns. */
  normal<T extends tf.Tensor>(...shape: number[]): T;
}

/** A time within a thousand training steps. */
export const EXAMPLE_TIME = 500;

/** Height and width of a sample if the config has none. */
const SAMPLE_SIZE = [64, 64] as const;

/** SDXL reads six numbers about the picture's size. */
const TIME_IDS = 6;

/** The properties that determine a denoiser's inputs. */
type Sizes = Pick<Denoiser, "inChannels" | "sampleSize" | "classLabels">;
type ConditionalSizes = Sizes & Pick<ConditionalDenoiser, "contextWidth" | "addedText">;

/** A pass of any denoiser, with inputs by its properties. */
export function denoiserPass(network: Denoiser | ConditionalDenoiser, noise: ExampleNoise): ExamplePass {
  if (isConditionalDenoiser(network)) {
    const { x, context, ...added } = conditionalInputs(network, noise);
    return { forward: () => network.forward(x, EXAMPLE_TIME, context, added), inputs: { x, context, ...added } };
  }
  const { x, ...added } = inputs(network, noise);
  return { forward: () => network.forward(x, EXAMPLE_TIME, added), inputs: { x, ...added } };
}

/** A sample, a context and the further inputs of a conditional network, by its properties. The caller owns them. */
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
