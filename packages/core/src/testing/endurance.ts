import * as tf from "@tensorflow/tfjs";
import { limitMemory } from "../backend/index.js";
import type { WasmBackend } from "../backend/wasm/memory.js";
import { BackendMemoryError } from "../platform/backend-memory.js";
import { drawTiny, tinyLatentPipeline } from "./tiny-latent-pipeline.js";

const MIB = 2 ** 20;

/** What {@link endurance} found on the current backend. It is sent from a browser's page as JSON. */
export interface Endurance {
  backend: string;
  /** The number of steps, and the tensors that they left. */
  drawn: { steps: number; leaked: number };
  /** The errors of drawings that a signal or `onStep` ended, or whose loop was left, and the tensors that they left. */
  ended: { errors: string[]; leaked: number };
  /** The error with a full memory, the tensors that it left, and whether later drawings are the same as before. */
  exhausted: { error: string; leaked: number; drawsAsBefore: boolean };
}

/** Draws many steps, ends drawings early, and draws with a full memory. */
export async function endurance(steps = 1000): Promise<Endurance> {
  return { backend: tf.getBackend(), drawn: await drawn(steps), ended: await ended(), exhausted: await exhausted() };
}

const SIZE = { prompt: "red", width: 16, height: 16 };
const STEPS = 20;

async function drawn(steps: number): Promise<Endurance["drawn"]> {
  const pipeline = tinyLatentPipeline();
  const image = { image: tf.fill<tf.Rank.R3>([16, 16, 3], 0.5), strength: 1 };
  const given = { ...image, mask: tf.ones<tf.Rank.R2>([16, 16]) };
  const kinds = [{}, { guidanceScale: 1 }, image, { ...given, pasteBack: true }, { numImages: 2, batchSize: 1 }];
  const before = tf.memory().numTensors;
  let done = 0;
  for (let seed = 0; done < steps; seed++) {
    const options = { ...SIZE, ...kinds[seed % kinds.length], numInferenceSteps: STEPS, seed };
    tf.dispose(await pipeline.generate({ ...options, onStep: () => void done++ }));
  }
  const leaked = tf.memory().numTensors - before;
  tf.dispose([given.image, given.mask]);
  pipeline.dispose();
  return { steps: done, leaked };
}

function fail(): never {
  throw new Error("mine");
}

/** What ends a drawing after a step. */
const ENDS: ((abort: AbortController) => unknown)[] = [
  (abort) => abort.abort(new Error("enough")),
  fail,
  async () => Promise.resolve().then(fail),
];

async function ended(): Promise<Endurance["ended"]> {
  const pipeline = tinyLatentPipeline();
  const before = tf.memory().numTensors;
  const errors: string[] = [];
  for (let last = 0; last < 5; last++) {
    for (const end of ENDS) {
      const abort = new AbortController();
      const onStep = ({ index }: { index: number }) => (index === last ? end(abort) : undefined);
      const drawing = pipeline.generate({ ...SIZE, numInferenceSteps: 6, signal: abort.signal, onStep });
      errors.push(await messageOf(drawing));
    }
    for await (const { index, preview } of pipeline.steps({ ...SIZE, numInferenceSteps: 6 })) {
      preview().dispose();
      if (index === last) break;
    }
  }
  const leaked = tf.memory().numTensors - before;
  pipeline.dispose();
  return { errors, leaked };
}

async function exhausted(): Promise<Endurance["exhausted"]> {
  const before = await drawTiny();
  const { numTensors } = tf.memory();
  const empty = tf.getBackend() === "wasm" ? fillWasm(MIB / 16, MIB) : limited();
  const error = await messageOf(drawTiny({ width: 256, height: 256 }));
  empty();
  const leaked = tf.memory().numTensors - numTensors;
  const after = await drawTiny();
  return { error, leaked, drawsAsBefore: after.images.every((value, i) => value === before.images[i]) };
}

/** The name of an error that the library throws on purpose, or the message of a caller's own. */
async function messageOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new Error("no error"),
    (error: Error) => error,
  );
  return error.name === "Error" ? error.message : error.name;
}

/** Backends other than wasm have as much memory as the computer, which no test should fill. */
function limited(): () => void {
  limitMemory(1);
  return () => limitMemory();
}

/**
 * Takes all memory of wasm in blocks, whose pages are never touched, until there is no room for `smallest` bytes.
 *
 * @param room a block of at most so many bytes is freed again
 * @returns a function that frees all blocks
 */
export function fillWasm(smallest: number, room = 0): () => void {
  const backend = tf.backend() as WasmBackend;
  const filling: tf.TensorInfo[] = [];
  for (let bytes = 512 * MIB; bytes >= smallest;) {
    try {
      filling.push(backend.makeOutput([bytes / 4], "float32"));
    } catch (error) {
      if (!(error instanceof BackendMemoryError)) throw error;
      bytes /= 2;
    }
  }
  const free = (blocks: tf.TensorInfo[]) => blocks.forEach(({ dataId }) => backend.disposeData(dataId, true));
  if (room > 0) {
    const fitting = filling.findIndex(({ shape }) => shape[0]! * 4 <= room);
    free(filling.splice(fitting, 1));
  }
  return () => free(filling.splice(0));
}
