import { backendMemory, requireMemory, WASM_LIMIT } from "../../platform/backend-memory.js";

/** The memory that a drawing needs besides the weights. */
export interface DrawingNeeds {
  /** All pictures of the drawing. */
  pictures: number;
  /** In pixels. */
  height: number;
  width: number;
  /** Bytes for each picture while the networks read it, at least. */
  running: number;
  /** Bytes for each picture from the beginning to the end, at least: latents, text states, the result. */
  kept: number;
  /** Bytes to read the prompt, before the first step, at least. */
  reading?: number;
}

/** How many times the estimate a measured peak may be. */
const MARGIN = 4;

/**
 * How many pictures the networks take at once: as many as certainly fit the backend's memory. A backend that does not
 * tell how much it has is used like WebAssembly.
 *
 * @param batchSize the caller's own number
 * @throws BackendMemoryError before any work, if the backend cannot hold the drawing, or slices of `batchSize`
 */
export function picturesAtOnce(needs: DrawingNeeds, batchSize?: number): number {
  const { pictures, height, width, running, kept, reading = 0 } = needs;
  const atOnce = Math.min(batchSize ?? 1, pictures);
  const slices = pictures > atOnce ? `, ${atOnce} at once,` : " at once";
  requireMemory(
    Math.max(pictures * kept + atOnce * running, reading),
    `Drawing ${pictures} x ${width} x ${height} pixels${slices}`,
    "draw smaller pictures, or fewer at once",
  );
  if (batchSize !== undefined) return atOnce;
  const { limit, held } = backendMemory() ?? { limit: WASM_LIMIT, held: 0 };
  const fitting = Math.floor((limit - held - pictures * kept) / (MARGIN * running));
  return Math.min(Math.max(fitting, 1), pictures);
}
