import type { WorkerPicture } from "@tfjs-diffusion/core/worker";
export type { WorkerPicture };

import type { DrawInputs, DrawSettings } from "./settings.js";

/** A step of a drawing, to show and to scrub through. */
export interface DrawnStep {
  /** Which call of the network, from 0 to `total` - 1. */
  readonly index: number;
  readonly total: number;
  readonly timestep: number;
  /** The noisy sample, decoded. */
  readonly x: WorkerPicture;
  /** The clean picture that the network predicts; not every drawer knows it. */
  readonly x0?: WorkerPicture;
}

/** A finished drawing. */
export interface Drawing {
  readonly picture: WorkerPicture;
  readonly milliseconds: number;
}

/** What draws for the page: a worker in this tab, or a server. */
export interface Drawer {
  /** Prepares to draw; resolves to a line about where it draws. `onProgress` gets bytes received. */
  load(onProgress: (received: number) => void): Promise<string>;
  /** Draws, and stops what it drew before: that call rejects with an error whose name is "AbortError". */
  draw(
    settings: DrawSettings & DrawInputs,
    options: { signal?: AbortSignal; onStep: (step: DrawnStep) => void },
  ): Promise<Drawing>;
  /** A PNG file of a picture, which carries its settings. */
  png(picture: WorkerPicture, settings: DrawSettings): Promise<Uint8Array<ArrayBuffer>>;
  /** Tensors that are held where it draws, if that can be known: after each drawing as many as before. */
  tensors?(): Promise<number>;
  close(): void;
}
