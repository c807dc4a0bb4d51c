import { backendMemory, requireMemory, WASM_LIMIT } from "../../platform/backend-memory.js";
import { PipelineOptionError } from "../options/errors.js";

/** The memory that a drawing needs besides the weights. */
export interface DrawingNeeds {
  /** All pictures of the drawing. */
  pictures: number;
  /** In pixels. */
  height: number;
  width: number;
  /** Height and width of the pictures that the network was trained on, in pixels; undefined if it does not say. */
  trained?: readonly [height: number, width: number] | undefined;
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
 * How many times as many pixels as in training a picture may have: 32 times its width and height. The work of attention
 * grows with the square of this number, so even one step, which nothing can interrupt, would never end.
 */
const MOST_TIMES_TRAINED = 1024;

/**
 * How many pictures the networks take at once: as many as certainly fit the backend's memory. A backend that does not
 * tell how much it has is used like WebAssembly.
 *
 * @param batchSize the caller's own number
 * @throws BackendMemoryError before any work, if the backend cannot hold the drawing, or slices of `batchSize`
 * @throws PipelineOptionError for pictures far larger than in training
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
  requireTrainedSize(needs);
  if (batchSize !== undefined) return atOnce;
  const { limit, held } = backendMemory() ?? { limit: WASM_LIMIT, held: 0 };
  const fitting = Math.floor((limit - held - pictures * kept) / (MARGIN * running));
  return Math.min(Math.max(fitting, 1), pictures);
}

function requireTrainedSize({ height, width, trained }: DrawingNeeds): void {
  if (!trained) return;
  const most = MOST_TIMES_TRAINED * trained[0] * trained[1];
  if (height * width <= most) return;
  throw new PipelineOptionError(
    `width x height: ${width} x ${height} pixels; expected at most ${most} in all, which are ${MOST_TIMES_TRAINED} times ` +
      `those of the network's training, ${trained[1]} x ${trained[0]}. Draw a smaller picture, and enlarge it.`,
  );
}
