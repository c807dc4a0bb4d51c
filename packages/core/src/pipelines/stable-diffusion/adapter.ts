import * as tf from "@tensorflow/tfjs";
import type { T2IAdapter } from "../../models/unet/t2i-adapter.js";
import { optionNames, requireKnownOptions } from "../../platform/known-options.js";
import { PipelineOptionError } from "../options/errors.js";
import { shown } from "../options/shown.js";
import { requireBetween, requireOption } from "../options/option-checks.js";

/** A T2I-Adapter and the picture that it reads. */
export interface AdapterInput {
  model: T2IAdapter;
  /** In [0, 1], [H, W, C] or [1, H, W, C], of the size of what is drawn; borrowed. */
  image: tf.Tensor3D | tf.Tensor4D;
  /** Multiplies its features. Default 1. */
  scale?: number;
  /** The share of the steps, from the first, in which they are added. Default 1: all. */
  factor?: number;
}

const KEYS = optionNames<AdapterInput>()({ model: true, image: true, scale: true, factor: true });

/** Checks an adapter against the size in pixels of what is drawn. */
export function checkAdapter(input: AdapterInput, size: readonly number[]): void {
  requireKnownOptions("adapter", input, KEYS, PipelineOptionError);
  const { model, image, scale = 1, factor = 1 } = input;
  const isAdapter = typeof model?.forward === "function" && "adapter" in model;
  requireOption(isAdapter, "adapter.model", shown(model), "a T2IAdapter, as loadModel gives");
  const { in_channels } = model.config;
  const wanted = [...size, in_channels].join(", ");
  const fits = image instanceof tf.Tensor && image.shape.slice(-3).join(", ") === wanted && image.size > 0;
  requireOption(
    fits,
    "adapter.image",
    image instanceof tf.Tensor ? `[${image.shape.join(", ")}]` : image,
    `[${wanted}]`,
  );
  requireOption(Number.isFinite(scale), "adapter.scale", scale, "a finite number");
  requireBetween("adapter.factor", factor, 0, 1);
}

/** The features to add, [1, h, w, channels] for each level; the caller owns them. */
export function adapterFeatures({ model, image, scale = 1 }: AdapterInput): tf.Tensor4D[] {
  return tf.tidy(() => {
    const [height, width, channels] = image.shape.slice(-3) as [number, number, number];
    const features = model.forward(image.reshape<tf.Tensor4D>([-1, height, width, channels]));
    return features.map((feature) => feature.mul<tf.Tensor4D>(scale));
  });
}

/** Whether the features are added in this step. */
export function isAdapted({ factor = 1 }: AdapterInput, { index, total }: { index: number; total: number }): boolean {
  return index < Math.trunc(total * factor);
}
