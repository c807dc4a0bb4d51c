import * as tf from "@tensorflow/tfjs";
import { BACKEND_NAMES, type BackendName, type BackendOptions, type Candidate } from "./candidate.js";
import { cpuCandidate } from "./cpu.js";
import { BackendUnavailableError } from "./errors.js";
import { setRecording } from "../nn/recorded.js";
import { nodeCandidate, nodeGpuCandidate } from "./native/candidate.js";
import { silenceBanner } from "./quiet.js";
import { webglCandidate } from "./webgl.js";
import { webgpuCandidate } from "./webgpu.js";
import { wasmCandidate } from "./wasm/candidate.js";

/** The backend that useBackend started, and why better ones were not available. */
export interface ChosenBackend {
  name: BackendName;
  /** More about it, such as its number of threads. */
  detail?: string;
  /** The better ones that do not run here, best first, and why. */
  passedOver: { name: BackendName; reason: string }[];
}

/** Best first: native code, the graphics card, WebAssembly, plain JavaScript. */
const CANDIDATES: Candidate[] = [
  nodeGpuCandidate,
  nodeCandidate,
  webgpuCandidate,
  webglCandidate,
  wasmCandidate,
  cpuCandidate,
];

/**
 * Makes TensorFlow.js run on the backend `name`, or, without a name, on the best that loads here (for a model of
 * `options.modelBytes`, if that is given). Also registers the kernels that training needs. Call it once, before the
 * first tensor.
 *
 * `name` is one of {@link BACKEND_NAMES}; "tensorflow", which is TensorFlow.js's name for the native backend, means
 * "node".
 *
 * Throws RangeError for an unknown name, and {@link BackendUnavailableError} if the backend does not run.
 */
export async function useBackend(name?: string, options: BackendOptions = {}): Promise<ChosenBackend> {
  const candidates = name === undefined ? CANDIDATES : [candidateNamed(name)];
  silenceBanner();
  const passedOver: ChosenBackend["passedOver"] = [];
  for (const candidate of candidates) {
    try {
      const detail = await start(candidate, options, name !== undefined);
      return { name: candidate.name, ...(detail === undefined ? {} : { detail }), passedOver };
    } catch (error) {
      passedOver.push({ name: candidate.name, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  const reasons = passedOver.map(({ name, reason }) => `${name}: ${reason}`).join("\n");
  throw new BackendUnavailableError(
    name === undefined
      ? `No backend of TensorFlow.js runs here.\n${reasons}`
      : `useBackend("${name}"): ${passedOver[0]!.reason}`,
  );
}

function candidateNamed(name: string): Candidate {
  const wanted = name === "tensorflow" ? "node" : name;
  const candidate = CANDIDATES.find((candidate) => candidate.name === wanted);
  if (!candidate) {
    throw new RangeError(`useBackend("${name}"): unknown name; the backends are ${BACKEND_NAMES.join(", ")}.`);
  }
  return candidate;
}

async function start(candidate: Candidate, options: BackendOptions, isAskedFor: boolean): Promise<string | undefined> {
  const { registeredAs, detail, afterStart } = await candidate.load(options, isAskedFor);
  if (!(await tf.setBackend(registeredAs))) throw new Error("it loads, but does not start.");
  await tf.ready();
  await afterStart?.();
  if (options.record !== undefined) setRecording(options.record);
  return detail;
}
