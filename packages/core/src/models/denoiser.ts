import type * as tf from "@tensorflow/tfjs";

/** What every denoiser says of itself. What is left out, it does not have. */
export interface DenoiserSizes {
  /** Channels of the samples that it reads. */
  readonly inChannels: number;
  /** Channels of what it returns: the noise, the clean sample or the velocity, as its scheduler's config says. */
  readonly outChannels: number;
  /** Height and width of the samples it was trained on. */
  readonly sampleSize?: readonly [height: number, width: number];
  /** The class labels that each call must give it. */
  readonly classLabels?: ClassLabels;
}

/**
 * What a class is told as: a row of a table of `count` classes (int32 [B]), a number that is embedded as a time is (
 * [B]), or a vector of `width` numbers ([B, width]).
 */
export type ClassLabels = { kind: "ids"; count: number } | { kind: "times" } | { kind: "vectors"; width: number };

/**
 * A network that takes the noise out of samples: what a pipeline asks of it. {@link UNet2DModel} is one; so is any
 * object with these properties.
 */
export interface Denoiser extends DenoiserSizes {
  /**
   * x [B, H, W, inChannels], t a number or [B] -> [B, H, W, outChannels]. Borrows its arguments; the caller owns the
   * result.
   */
  forward(x: tf.Tensor4D, t: number | tf.Tensor1D, inputs?: DenoiserInputs): tf.Tensor4D;
}

/** What a denoiser reads besides the sample and the time. Borrowed. */
export interface DenoiserInputs {
  /** As its {@link ClassLabels} say. */
  classLabels?: tf.Tensor;
}

/**
 * A denoiser that also reads a context, such as the states of a text encoder: {@link UNet2DConditionModel}, or any
 * object with these properties.
 */
export interface ConditionalDenoiser extends DenoiserSizes {
  /** Numbers in each state of the context. */
  readonly contextWidth: number;
  /** What else of the text it must be given, as Stable Diffusion XL is. */
  readonly addedText?: AddedText;
  /** Width of the guidance scale's embedding, if the network was distilled with guidance (Meng et al. 2023). */
  readonly guidanceWidth?: number;
  /**
   * Of a sample of this size, the [height, width, channels] of the feature maps that a ControlNet adds to: those that
   * are kept on the way down, then the middle's.
   */
  featureMaps?(height: number, width: number): readonly (readonly [number, number, number])[];
  /**
   * x [B, H, W, inChannels], t a number or [B], context [B, L, contextWidth] -> [B, H, W, outChannels]. Borrows its
   * arguments; the caller owns the result.
   */
  forward(
    x: tf.Tensor4D,
    t: number | tf.Tensor1D,
    context: tf.Tensor3D,
    inputs?: ConditionalDenoiserInputs,
  ): tf.Tensor4D;
}

/** A sentence vector and numbers, the time ids, each embedded in `timeIdWidth` numbers: `width` numbers together. */
export interface AddedText {
  readonly width: number;
  readonly timeIdWidth: number;
}

/** What a conditional denoiser reads besides sample, time and context: what it says of itself tells which. Borrowed. */
export interface ConditionalDenoiserInputs extends DenoiserInputs {
  /** The sentence vector, [B, any]. */
  textEmbeds?: tf.Tensor2D;
  /** [B, n] numbers: original height and width, crop top and left, target height and width. */
  timeIds?: tf.Tensor2D;
  /** The guidance scale, embedded, [B, guidanceWidth]. */
  timestepCond?: tf.Tensor2D;
  /** 1 where the context may be read, 0 where not, [B, L]. */
  encoderAttentionMask?: tf.Tensor2D;
  /** A ControlNet's results: one to add to each feature map that the way down keeps, from the finest. */
  downResiduals?: readonly tf.Tensor4D[];
  midResidual?: tf.Tensor4D;
}

/** Whether a network reads a context. */
export function isConditionalDenoiser(network: object): network is ConditionalDenoiser {
  return isDenoiser(network) && "contextWidth" in network;
}

/** Whether a network takes noise out of samples, with a context or without. */
export function isDenoiser(network: object): network is Denoiser | ConditionalDenoiser {
  const { inChannels, outChannels, forward } = network as Partial<Denoiser>;
  return typeof inChannels === "number" && typeof outChannels === "number" && typeof forward === "function";
}
