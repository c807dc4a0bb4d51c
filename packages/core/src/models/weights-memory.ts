import { requireMemory } from "../platform/backend-memory.js";
import type { Model } from "./model.js";

/** Bytes of a float32. */
const FLOAT_BYTES = 4;

/** Bytes that a network's weights take. In memory they are float32, whatever the stored type. */
export function weightBytes(model: Model): number {
  return [...model.namedParameters().values()].reduce(
    (sum, { shape }) => sum + FLOAT_BYTES * shape.reduce((product, size) => product * size, 1),
    0,
  );
}

/**
 * Checks, before weights are read, that the running backend can hold those of these networks.
 *
 * @param from the folder or file, for the message
 * @param stored how many numbers the file contains; if they are fewer, it is a file of other networks, which its reader
 * refuses
 * @throws BackendMemoryError
 */
export function requireRoomForWeights(from: string, models: readonly Model[], stored = Infinity): void {
  const needed = models.reduce((sum, model) => sum + weightBytes(model), 0);
  const bytes = Math.min(needed, FLOAT_BYTES * stored);
  requireMemory(bytes, `${from}: to hold its weights as float32`, "take a smaller model");
}
