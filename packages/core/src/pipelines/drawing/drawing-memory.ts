import type { ConditionalDenoiser } from "../../models/denoiser.js";
import { requireMemory } from "../../platform/backend-memory.js";

/** Bytes of a float32. */
const FLOAT_BYTES = 4;

/** Feature maps of full width that a block holds at once. A gated feed-forward layer alone is eight times as wide. */
const MAPS_OF_A_BLOCK = 8;

/** The sizes of a drawing in latent space. */
export interface DrawingSizes {
  /** Rows of the network's batch: twice the number of pictures with guidance. */
  batch: number;
  pictures: number;
  /** Of the latents. */
  rows: number;
  columns: number;
  /** Pixels per latent, along each side. */
  factor: number;
  /** Channels of the autoencoder's largest feature map, at the size of the picture. */
  decoderChannels: number;
}

/**
 * A lower limit of the bytes that a drawing needs besides the weights: the denoiser's skip connections and the tensors
 * of the running block, or the autoencoder's largest feature map of one picture, whichever is larger. Measured peaks
 * are two to four times as large, so a drawing that is refused here cannot work.
 */
export function drawingBytes(unet: ConditionalDenoiser, sizes: DrawingSizes): number {
  const { batch, pictures, rows, columns, factor, decoderChannels } = sizes;
  const maps = (unet.featureMaps?.(rows, columns) ?? [[rows, columns, unet.inChannels]]).map((map) =>
    map.reduce((product, size) => product * size, FLOAT_BYTES * batch),
  );
  const denoising = maps.reduce((sum, bytes) => sum + bytes, 0) + MAPS_OF_A_BLOCK * Math.max(...maps);
  const pixels = rows * factor * columns * factor;
  const decoding = FLOAT_BYTES * pixels * (decoderChannels + 3 * pictures);
  return Math.max(denoising, decoding);
}

/** @throws BackendMemoryError before any work, if the running backend cannot hold the drawing */
export function requireRoomToDraw(unet: ConditionalDenoiser, sizes: DrawingSizes): void {
  const { pictures, rows, columns, factor } = sizes;
  const what = `Drawing ${pictures} x ${columns * factor} x ${rows * factor} pixels at once`;
  requireMemory(drawingBytes(unet, sizes), what, "draw smaller pictures, or fewer at once");
}
