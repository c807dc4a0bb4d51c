import { join } from "node:path";
import { type NetworkName, NETWORKS } from "../networks.js";
import { optionalPackage } from "../packages.js";
import { readReference, relativeError } from "./reference.js";

/** What we use of onnxruntime-web and onnxruntime-node, which have the same interface. */
interface OnnxRuntime {
  env: { wasm: { numThreads?: number } };
  Tensor: new (type: "float32", data: Float32Array, dims: number[]) => OnnxValue;
  InferenceSession: {
    create(
      file: string,
      options: object,
    ): Promise<{
      outputNames: string[];
      run(inputs: Record<string, OnnxValue>): Promise<Record<string, OnnxValue>>;
    }>;
  };
}

interface OnnxValue {
  data: Float32Array;
  dispose(): void;
}

/** Two float32 forward passes with different orders of summation differ by about 2e-6. */
const NOISE = 2e-5;

/**
 * A forward pass in ONNX Runtime of the graph of {@link writeReference}, after one comparison with ours. Throws if the
 * package is not installed, or if the results differ by more than rounding.
 */
export async function onnxSession(packageName: string, threads: number, folder: string, name: string) {
  const ort = await optionalPackage<OnnxRuntime>(packageName);
  if (!ort) throw new Error(`${packageName} is not installed.`);
  if (packageName === "onnxruntime-web") ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(join(folder, `${name}.onnx`), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
    executionProviders: [packageName === "onnxruntime-web" ? "wasm" : "cpu"],
  });
  const { inputs, output } = await readReference(folder, name);
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([key, { data, dims }]) => [key, new ort.Tensor("float32", data, dims)]),
  );
  const forward = async () => (await session.run(tensors))[session.outputNames[0]!]!.data;
  const error = relativeError(await forward(), output.data);
  if (!(error < NOISE)) throw new Error(`its result for ${name} differs from ours by ${error.toExponential(1)}.`);
  return { forward, error, flop: NETWORKS[name as NetworkName].flop };
}
