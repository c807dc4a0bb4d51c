import * as tf from "@tensorflow/tfjs";
import type { Conv2d } from "../../nn/conv2d.js";
import { Downsample2D, Upsample2D } from "../../nn/resample.js";
import { ResnetBlock2D, type ResnetBlockOptions } from "../../nn/resnet-block.js";
import type { SpatialAttention } from "../../nn/spatial-attention.js";
import type { TransformerContext } from "../../nn/transformer-block.js";
import { ModelInputError } from "../errors.js";
import { filtered, type FreeULevel, strengthened } from "../free-u.js";

/** The inputs of a UNet block besides its features. */
export interface Conditioning extends TransformerContext {
  /** The activated time embedding, [B or 1, timeChannels]. */
  time?: tf.Tensor2D;
}

/** Builds the attention layer that follows a residual block; undefined for blocks without attention. */
export type AttentionFactory = ((channels: number, index: number) => SpatialAttention) | undefined;

/** How a block changes the resolution at its end: "conv" or inside a residual block; null: not at all. */
export type Resampling = "conv" | "resnet" | null;

export interface BlockOptions {
  layers: number;
  resnet: ResnetBlockOptions;
  attention: AttentionFactory;
  resampling: Resampling;
}

/** A layer that changes the resolution. */
export interface Resampler {
  readonly conv?: Conv2d;
  forward(x: tf.Tensor4D, time?: tf.Tensor2D, size?: [number, number]): tf.Tensor4D;
}

/**
 * One level of the way down: `layers` residual blocks, each with its attention, then half the resolution.
 * Every intermediate result is kept for the way up.
 */
export class DownBlock {
  readonly resnets: ResnetBlock2D[];
  readonly attentions?: SpatialAttention[];
  readonly downsamplers?: [Resampler];
  readonly #padding: number;

  constructor(
    inChannels: number,
    readonly outChannels: number,
    { layers, resnet, attention, resampling, padding = 1 }: BlockOptions & { padding?: number },
  ) {
    this.resnets = Array.from(
      { length: layers },
      (_, i) => new ResnetBlock2D(i === 0 ? inChannels : outChannels, outChannels, resnet),
    );
    if (attention) this.attentions = this.resnets.map((_, i) => attention(outChannels, i));
    if (resampling === "conv") this.downsamplers = [new Downsample2D(outChannels, padding)];
    if (resampling === "resnet") {
      this.downsamplers = [new ResnetBlock2D(outChannels, outChannels, { ...resnet, resample: "down" })];
    }
    this.#padding = resampling === "conv" ? padding : 0;
  }

  /**
   * The number of pixels along an axis after the block, for `pixels` before it. Without padding an odd last pixel is
   * dropped.
   */
  pixelsAfter(pixels: number): number {
    if (!this.downsamplers) return pixels;
    return this.#padding === 0 ? Math.floor(pixels / 2) : Math.floor((pixels + 2 * this.#padding - 1) / 2);
  }

  /**
   * Returns every intermediate result; the last one is the block's output.
   *
   * @param feature an adapter's: added before the resolution changes in a block with attention, else at its end
   */
  forward(x: tf.Tensor4D, conditioning: Conditioning, feature?: tf.Tensor4D): tf.Tensor4D[] {
    const results: tf.Tensor4D[] = [];
    let h = x;
    for (const [i, resnet] of this.resnets.entries()) {
      const input = h;
      h = tf.tidy(() => {
        const y = resnet.forward(input, conditioning.time);
        if (!this.attentions) return y;
        const attended = this.attentions[i]!.forward(y, conditioning);
        return feature && i === this.resnets.length - 1 ? attended.add<tf.Tensor4D>(feature) : attended;
      });
      results.push(h);
    }
    if (this.downsamplers) results.push(this.downsamplers[0].forward(h, conditioning.time));
    if (feature && !this.attentions) results.push(results.pop()!.add(feature));
    return results;
  }
}

/**
 * Height, width and channels of every result of a way down, from the finest, for a picture of this height and width.
 *
 * @throws ModelInputError if the picture is too small for one of the levels
 */
export function resultShapes(
  model: string,
  blocks: readonly DownBlock[],
  [height, width]: [number, number],
): [number, number, number][] {
  let size: [number, number] = [height, width];
  return blocks.flatMap((block) => {
    const results = block.resnets.map((): [number, number, number] => [...size, block.outChannels]);
    size = [block.pixelsAfter(size[0]), block.pixelsAfter(size[1])];
    if (Math.min(...size) < 1) {
      throw new ModelInputError(
        `${model}: a picture of ${height} x ${width} is too small for its ${blocks.length} levels; height and width must be at least ${leastPixels(blocks)}.`,
      );
    }
    return block.downsamplers ? [...results, [...size, block.outChannels]] : results;
  });
}

function leastPixels(blocks: readonly DownBlock[]): number {
  const after = (pixels: number) => blocks.reduce((left, block) => block.pixelsAfter(left), pixels);
  let least = 1;
  while (after(least) < 1) least++;
  return least;
}

/** The lowest level: a residual block, then attention and a residual block for each layer. */
export class MidBlock {
  readonly resnets: ResnetBlock2D[];
  readonly attentions?: SpatialAttention[];

  constructor(channels: number, { layers, resnet, attention }: Omit<BlockOptions, "resampling">) {
    this.resnets = Array.from({ length: layers + 1 }, () => new ResnetBlock2D(channels, channels, resnet));
    if (attention) this.attentions = Array.from({ length: layers }, (_, i) => attention(channels, i));
  }

  forward(x: tf.Tensor4D, conditioning: Conditioning): tf.Tensor4D {
    return tf.tidy(() => {
      let h = this.resnets[0]!.forward(x, conditioning.time);
      for (const [i, resnet] of this.resnets.slice(1).entries()) {
        if (this.attentions) h = this.attentions[i]!.forward(h, conditioning);
        h = resnet.forward(h, conditioning.time);
      }
      return h;
    });
  }
}

/**
 * One level of the way up: residual blocks, each of which reads the features concatenated with a skip connection from
 * the way down, and is followed by its attention; then twice the resolution.
 */
export class UpBlock {
  readonly resnets: ResnetBlock2D[];
  readonly attentions?: SpatialAttention[];
  readonly upsamplers?: [Resampler];

  /**
   * `skipChannels[i]`: channels of the skip connection of residual block i; 0 for a network without skips (a decoder).
   */
  constructor(
    inChannels: number,
    outChannels: number,
    skipChannels: readonly number[],
    { resnet, attention, resampling }: Omit<BlockOptions, "layers">,
  ) {
    this.resnets = skipChannels.map(
      (skip, i) => new ResnetBlock2D((i === 0 ? inChannels : outChannels) + skip, outChannels, resnet),
    );
    if (attention) this.attentions = this.resnets.map((_, i) => attention(outChannels, i));
    if (resampling === "conv") this.upsamplers = [new Upsample2D(outChannels)];
    if (resampling === "resnet") {
      this.upsamplers = [new ResnetBlock2D(outChannels, outChannels, { ...resnet, resample: "up" })];
    }
  }

  /** Removes its skips from the end of `skips`; the next level's skip gives the size to upsample to. */
  forward(x: tf.Tensor4D, conditioning: Conditioning, skips: tf.Tensor4D[] = [], freeU?: FreeULevel): tf.Tensor4D {
    return tf.tidy(() => {
      let h = x;
      for (const [i, resnet] of this.resnets.entries()) {
        const [input, skip] = [h, skips.pop()];
        h = tf.tidy(() => {
          const pair =
            freeU && skip ? [strengthened(input, freeU.backbone), filtered(skip, freeU.skip)] : [input, skip];
          const y = resnet.forward(skip ? tf.concat(pair as tf.Tensor4D[], 3) : input, conditioning.time);
          return this.attentions ? this.attentions[i]!.forward(y, conditioning) : y;
        });
      }
      if (!this.upsamplers) return h;
      const next = skips.at(-1);
      return this.upsamplers[0].forward(h, conditioning.time, next && [next.shape[1], next.shape[2]]);
    });
  }
}
