import type * as tf from "@tensorflow/tfjs";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";

/** How a network differs from the usual one of its subject. */
export interface NetworkOptions {
  /** Numbers, or channels, of its first layer. Default: the subject's usual width. */
  width?: number;
  /** Classes that it can be told; default 0. There is one label more, for "no class". */
  classes?: number;
  /** What it is told of the noise level is multiplied by this, to lie near [-1, 1]. Default 1e-3, for timesteps. */
  timeScale?: number;
}

/** A network that a method trains. */
export interface StudyNetwork<T extends tf.Tensor> {
  readonly options: NetworkOptions;
  /**
   * Takes samples, the number that each is told of its noise level, and a class for each, `classes` meaning none
   * (default: none for all).
   */
  forward(x: T, told: readonly number[], labels?: readonly number[]): T;
  parameters(): Map<string, tf.Variable>;
  dispose(): void;
}

/** Samples and the class of each. */
export interface Batch<T extends tf.Tensor> {
  x0: T;
  labels: number[];
}

/** Data that all methods are trained on, and the networks for them. */
export interface Subject<T extends tf.Tensor> {
  /** Shape of one sample. */
  readonly shape: readonly number[];
  readonly classes: number;
  /** Deviation of the data, near enough. */
  readonly sigmaData: number;
  /** The highest noise level of EDM. */
  readonly sigmaMax: number;
  /** Widths of the networks that are told classes: of the one that draws, and of the weaker one that guides it. */
  readonly guidedWidths: readonly [main: number, weak: number];
  /** New data; the caller owns the samples. */
  batch(size: number, noise: KeyedNoise): Batch<T>;
  /** A new network, with first weights; the caller owns it. */
  network(noise: KeyedNoise, options: NetworkOptions): StudyNetwork<T>;
}
