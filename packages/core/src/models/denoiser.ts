import type * as tf from "@tensorflow/tfjs";
import type { FreeU } from "./free-u.js";

/** The properties of a denoiser. A missing property means that the denoiser does not have the feature. */
export interface DenoiserSizes {
  /** Channels of its input samples. */
  readonly inChannels: number;
  /** Channels of its output: the noise, the clean sample or the velocity, as its scheduler's config says. */
  readonly outChannels: number;
  /** Height and width of the samples it was trained on. */
  readonly sampleSize?: readonly [height: number, width: number] | undefined;
  /** The class labels that each call must pass. */
  readonly classLabels?: ClassLabels | undefined;
  /**
   * The sizes [height, width, channels] of the feature maps that a ControlNet adds to, for a sample of this size: the
   * skip connections from the way down, then the middle block's output. The memory of a drawing is estimated by them.
   */
  featureMaps?(height: number, width: number): readonly (readonly [number, number, number])[];
}

/**
 * The form of a class label: a row of a table of `count` classes (int32 [B]), a number that is embedded like a timestep
 * ([B]), or a vector of `width` numbers ([B, width]).
 */
export type ClassLabels = { kind: "ids"; count: number } | { kind: "times" } | { kind: "vectors"; width: number };

/**
 * The interface that a pipeline needs of a network that removes noise from samples. {@link UNet2DModel} implements it;
 * any object with these properties can be used.
 */
export interface Denoiser extends DenoiserSizes {
  /**
   * x [B, H, W, inChannels], t a number or [B] -> [B, H, W, outChannels]. Borrows its arguments; the caller owns the
   * result.
   */
  forward(x: tf.Tensor4D, t: number | tf.Tensor1D, inputs?: DenoiserInputs): tf.Tensor4D;
}

/** Inputs of a denoiser besides the sample and the timestep. Borrowed. */
export interface DenoiserInputs {
  /** In the form of its {@link ClassLabels}. */
  classLabels?: tf.Tensor | undefined;
}

/**
 * A denoiser that also reads a context, such as the states of a text encoder: {@link UNet2DConditionModel}, or any
 * object with these properties.
 */
export interface ConditionalDenoiser extends DenoiserSizes {
  /** Width of each state of the context. */
  readonly contextWidth: number;
  /** Further text inputs that it needs, as in Stable Diffusion XL. */
  readonly addedText?: AddedText | undefined;
  /** Width of the guidance scale's embedding, if the network was distilled with guidance (Meng et al. 2023). */
  readonly guidanceWidth?: number | undefined;
  /** Whether forward reads `freeU` and `levelFeatures`. */
  readonly isAdjustable?: boolean | undefined;
  /** Paths of its self-attention layers, if forward reads `perturbedLayers`. */
  readonly selfAttentions?: readonly string[] | undefined;
  /**
   * Its layers of attention to the context for a sample of this size, in the order in which IP-Adapters number them, if
   * forward reads `imageStates`.
   */
  contextAttentions?(height: number, width: number): readonly ContextAttention[];
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

/** A layer of attention to the context. */
export interface ContextAttention {
  /** Its path in the checkpoint. */
  readonly name: string;
  /** Height, width and channels of the feature map whose pixels attend. */
  readonly shape: readonly [height: number, width: number, channels: number];
}

/** What a layer of attention to the context reads of a picture, besides the context. */
export type ImageStates = {
  /** [B, T, channels of the layer], like `values`. */
  readonly keys: tf.Tensor3D;
  readonly values: tf.Tensor3D;
  /** Multiplies what each pixel reads, [1 or B, H W, 1]. Default: 1 everywhere. */
  readonly mask?: tf.Tensor3D | undefined;
};

/** A sentence vector and numbers, the time ids, each embedded in `timeIdWidth` numbers: `width` numbers together. */
export interface AddedText {
  readonly width: number;
  readonly timeIdWidth: number;
}

/**
 * Inputs of a conditional denoiser besides sample, timestep and context; its properties say which it needs. Borrowed.
 */
export interface ConditionalDenoiserInputs extends DenoiserInputs {
  /** The sentence vector, [B, any]. */
  textEmbeds?: tf.Tensor2D | undefined;
  /** [B, n] numbers: original height and width, crop top and left, target height and width. */
  timeIds?: tf.Tensor2D | undefined;
  /** The guidance scale, embedded, [B, guidanceWidth]. */
  timestepCond?: tf.Tensor2D | undefined;
  /** 1 where the context may be read, 0 where not, [B, L]. */
  encoderAttentionMask?: tf.Tensor2D | undefined;
  /** A ControlNet's residuals: one to add to each skip connection of the way down, from the finest. */
  downResiduals?: readonly tf.Tensor4D[] | undefined;
  midResidual?: tf.Tensor4D | undefined;
  /** A T2I-Adapter's features: one to add to each level of the way down, from the finest, if `isAdjustable`. */
  levelFeatures?: readonly tf.Tensor4D[] | undefined;
  /** Factors of FreeU, if the network `isAdjustable`. */
  freeU?: FreeU | undefined;
  /** Some of its `selfAttentions`: in these, each pixel reads only itself. */
  perturbedLayers?: readonly string[] | undefined;
  /** Pictures that some of its `contextAttentions` read, by the layers' names. */
  imageStates?: Readonly<Record<string, readonly ImageStates[]>> | undefined;
}

/** Whether a network is a denoiser that reads a context. */
export function isConditionalDenoiser(network: object): network is ConditionalDenoiser {
  return isDenoiser(network) && "contextWidth" in network;
}

/** Whether a network is a denoiser, with or without a context. */
export function isDenoiser(network: object): network is Denoiser | ConditionalDenoiser {
  const { inChannels, outChannels, forward } = network as Partial<Denoiser>;
  return typeof inChannels === "number" && typeof outChannels === "number" && typeof forward === "function";
}
