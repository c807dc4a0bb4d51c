import * as tf from "@tensorflow/tfjs";
import { ControlNetModel } from "../../models/unet/controlnet.js";
import type { ConditionalDenoiser, ConditionalDenoiserInputs } from "../../models/denoiser.js";
import { optionNames, requireKnownOptions } from "../../platform/known-options.js";
import { PipelineOptionError } from "../options/errors.js";
import { requireBetween, requireOption } from "../options/option-checks.js";

/** A control picture (edges, depth, a pose) and the ControlNet that reads it. Borrowed. */
export interface Control {
  model: ControlNetModel;
  /** In [0, 1], [H, W, C] or [1, H, W, C], with the size of the result. */
  image: tf.Tensor3D | tf.Tensor4D;
  /** Factor of the residuals, default 1. */
  scale?: number;
  /** Shares of the sampling, 0 to 1, between which the ControlNet is used. Default 0 and 1: all the time. */
  start?: number;
  end?: number;
  /**
   * For drawing without a prompt: the ControlNet acts weakly at fine levels, and not at all for the negative prompt.
   * Default false.
   */
  guessMode?: boolean;
}

const KEYS = optionNames<Control>()({ model: true, image: true, scale: true, start: true, end: true, guessMode: true });

/**
 * @throws PipelineOptionError before any work; height and width are those of the latents, `name` is the name of the
 *   option
 */
export function checkControl(
  name: string,
  control: Control,
  { denoiser, height, width }: { denoiser: ConditionalDenoiser; height: number; width: number },
): void {
  requireKnownOptions(name, control, KEYS, PipelineOptionError);
  const { model, image, scale = 1, start = 0, end = 1 } = control;
  requireOption(model instanceof ControlNetModel, `${name}.model`, typeof model, "a ControlNetModel");
  // A ControlNet reads the denoiser's text states and adds to its feature maps, so their sizes must be equal.
  const same = (what: string, given: unknown, wanted: unknown) =>
    requireOption(
      given === wanted,
      `${name}.model, ${what}`,
      given,
      `${String(wanted)}, as the pipeline's denoiser has; use a ControlNet that was trained for this model`,
    );
  same("contextWidth", model.contextWidth, denoiser.contextWidth);
  same("featureMaps", shapesOf(model, height, width), shapesOf(denoiser, height, width));
  requireOption(image instanceof tf.Tensor, `${name}.image`, typeof image, "a tensor");
  const { conditioning_embedding_out_channels: widths, conditioning_channels: channels } = model.config;
  const factor = 2 ** (widths.length - 1);
  const wanted = [height * factor, width * factor, channels];
  const [rows, ...rest] = image.rank === 3 ? [1, ...image.shape] : image.shape;
  requireOption(
    rows === 1 && rest.join() === wanted.join(),
    `${name}.image`,
    `[${image.shape.join(", ")}]`,
    `[${wanted.join(", ")}]; resize the picture`,
  );
  requireOption(Number.isFinite(scale), `${name}.scale`, scale, "a finite number");
  requireBetween(`${name}.start`, start, 0, 1);
  requireBetween(`${name}.end`, end, start, 1);
}

/** The sizes of the feature maps, each as height x width x channels. */
function shapesOf(network: ConditionalDenoiser | ControlNetModel, height: number, width: number): string {
  return (
    network
      .featureMaps?.(height, width)
      .map((shape) => shape.join("x"))
      .join(", ") ?? "none"
  );
}

/** One call of the network. */
export interface ControlledCall {
  /** The latents. With guidance the batch is twice as large, and its first half belongs to the negative prompts. */
  x: tf.Tensor4D;
  timestep: number;
  context: tf.Tensor3D;
  /** Further inputs of the denoiser. */
  inputs: ConditionalDenoiserInputs;
  isGuided: boolean;
  index: number;
  total: number;
}

type Residuals = Pick<ConditionalDenoiserInputs, "downResiduals" | "midResidual">;

/** The sum of all ControlNets' residuals for this call; the caller owns them. */
export function controlResiduals(controls: Iterable<Control>, call: ControlledCall): Residuals {
  const all = [...controls].map((control) => residualsOf(control, call)).filter((residuals) => residuals.length > 0);
  if (all.length === 0) return {};
  const sums = all.reduce((sum, more) => sum.map((residual, i) => residual.add<tf.Tensor4D>(more[i]!)));
  return { downResiduals: sums.slice(0, -1), midResidual: sums.at(-1) };
}

/** One for each skip connection, then that of the middle block; empty before the control's start and after its end. */
function residualsOf(control: Control, call: ControlledCall): tf.Tensor4D[] {
  const { model, image, scale = 1, start = 0, end = 1 } = control;
  // ControlNets that average their residuals over the picture were trained in this mode.
  const guessMode = (control.guessMode ?? false) || model.config.global_pool_conditions;
  const { x, timestep, context, inputs, isGuided, index, total } = call;
  if (index / total < start || (index + 1) / total > end) return [];
  const onlyPrompted = guessMode && isGuided;
  const told = <T extends tf.Tensor>(all: T) => (onlyPrompted ? (tf.split(all, 2)[1] as T) : all);
  const [input, states] = [told(x), told(context)];
  const { textEmbeds, timeIds } = inputs;
  const [height, width, channels] = image.shape.slice(-3) as [number, number, number];
  const pictures = image
    .reshape<tf.Tensor4D>([1, height, width, channels])
    .tile<tf.Tensor4D>([input.shape[0], 1, 1, 1]);
  const { downResiduals, midResidual } = model.forward(input, timestep, states, pictures, {
    scale,
    guessMode,
    textEmbeds: textEmbeds && told(textEmbeds),
    timeIds: timeIds && told(timeIds),
  });
  const residuals = [...downResiduals, midResidual];
  return onlyPrompted ? residuals.map((residual) => tf.concat([tf.zerosLike(residual), residual])) : residuals;
}
