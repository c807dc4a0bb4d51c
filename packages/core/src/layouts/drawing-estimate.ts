import { decoderBytes, denoiserBytes } from "../models/activation-memory.js";
import { isAutoencoder } from "../models/autoencoder/autoencoder.js";
import { isDenoiser } from "../models/denoiser.js";

/** The least memory that a drawing takes besides the weights. */
export interface DrawingEstimate {
  /** In pixels: the size that the networks were trained on. */
  width: number;
  height: number;
  /** For one picture with guidance. Measured peaks are one to four times as much. */
  bytes: number;
}

/** unCLIP's networks that enlarge the picture; they have no guidance. */
const ENLARGERS = ["super_res_first", "super_res_last"];

/**
 * The memory to draw one picture of the trained size with these networks; undefined without a denoiser, or if its size
 * is not known.
 *
 * @param networks by their names in a diffusers folder; they need no weights
 * @param factor pixels per sample of the UNet, along each side
 * @param pictureSize height and width in pixels; default: as the networks' configs say
 */
export function drawingEstimate(
  networks: ReadonlyMap<string, object>,
  factor: number,
  pictureSize?: number,
): DrawingEstimate | undefined {
  let size: readonly [height: number, width: number] | undefined;
  const needs: number[] = [];
  for (const [name, network] of networks) {
    if (!isDenoiser(network) || !network.sampleSize) continue;
    const [rows, columns] = pictureSize ? [pictureSize / factor, pictureSize / factor] : network.sampleSize;
    needs.push((ENLARGERS.includes(name) ? 1 : 2) * denoiserBytes(network, rows, columns));
    if (!size || rows * factor > size[0]) size = [rows * factor, columns * factor];
  }
  if (!size) return undefined;
  const [height, width] = size;
  const decoders = [...networks.values()].filter(isAutoencoder);
  return { width, height, bytes: Math.max(...needs, ...decoders.map((vae) => decoderBytes(vae, height, width))) };
}
