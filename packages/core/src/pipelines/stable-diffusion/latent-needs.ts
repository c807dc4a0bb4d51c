import { decoderBytes, denoiserBytes, floatBytes } from "../../models/activation-memory.js";
import type { Autoencoder } from "../../models/autoencoder/autoencoder.js";
import type { DenoiserSizes } from "../../models/denoiser.js";
import type { DrawingNeeds } from "../drawing/drawing-memory.js";

/** Tensors of the size of the latents that a step holds at least: x before and after, the input and the output. */
const LATENTS_KEPT = 4;

/** A drawing in latent space. */
export interface LatentDrawing {
  /** Of the latents, [B, h, w, C]. */
  shape: readonly [number, number, number, number];
  /** Pixels per latent, along each side. */
  factor: number;
  isGuided: boolean;
  textTokens: number;
  textWidth: number;
  /** Bytes to read a prompt. */
  textBytes: number;
  /** Whether the latents become pictures. */
  isDecoded: boolean;
}

/** The memory to draw latents, and to decode them. */
export function latentNeeds(
  { unet, vae }: { unet: DenoiserSizes; vae: Autoencoder },
  { shape, factor, isGuided, textTokens, textWidth, textBytes: reading, isDecoded }: LatentDrawing,
): DrawingNeeds {
  const [pictures, rows, columns, channels] = shape;
  const [height, width] = [rows * factor, columns * factor];
  const trained = unet.sampleSize && ([unet.sampleSize[0] * factor, unet.sampleSize[1] * factor] as const);
  const size = { pictures, height, width, trained };
  const batches = isGuided ? 2 : 1;
  const denoising = batches * denoiserBytes(unet, rows, columns);
  const states = batches * floatBytes(textTokens, textWidth);
  const kept = LATENTS_KEPT * floatBytes(rows, columns, channels) + states;
  if (!isDecoded) return { ...size, running: denoising, kept, reading };
  const running = Math.max(denoising, decoderBytes(vae, height, width));
  return { ...size, running, kept: kept + floatBytes(height, width, 3), reading };
}
