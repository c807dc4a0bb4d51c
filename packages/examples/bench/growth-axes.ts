import { type Network, NETWORKS } from "./networks.js";

/** The faces' network in several sizes, as multiples of the smallest along each axis. */
export const AXES = {
  batch: { sizes: [1, 2, 4, 8, 16], of: (n: number) => scaled({ batch: n }) },
  pixels: { sizes: [1, 4, 16, 64], of: (n: number) => scaled({ side: 8 * Math.sqrt(n) }) },
  channels: { sizes: [1, 2, 4, 8], of: (n: number) => scaled({ width: 8 * n }) },
} satisfies Record<string, { sizes: number[]; of(n: number): Network }>;

export type Axis = keyof typeof AXES;

/** The faces' network at another batch, side of the picture, or channels of its first level. */
function scaled({ batch = 1, side = 16, width = 32 }): Network {
  const { config } = NETWORKS.faces;
  const block_out_channels = config.block_out_channels.map((channels) => (channels / 32) * width);
  return { batch, flop: NaN, config: { ...config, sample_size: side, block_out_channels } };
}
