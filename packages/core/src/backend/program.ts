import type * as tf from "@tensorflow/tfjs";
import type { RecordedProgram } from "../nn/recorded.js";

/** A recorded computation that can be run. `Handle` is how a backend names a tensor; the caller owns an `Output`. */
export interface Program<Handle, Output> {
  run(given: readonly Handle[]): Output[];
  describe(): RecordedProgram;
  dispose(): void;
}

/** A computation cannot be recorded; the message says why. */
export class NotRecordableError extends Error {
  override name = "NotRecordableError";
}

/** A call of a program. Its buffers are compared by identity. */
interface Call<Buffer extends object> {
  readonly operation: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly Buffer[];
  readonly outputs: readonly Buffer[];
}

/** For each call, the buffers whose last use it is, except inputs and results. */
export function lastUses<Buffer extends object>(
  calls: readonly Pick<Call<Buffer>, "inputs" | "outputs">[],
  results: readonly Buffer[],
): Buffer[][] {
  const made = new Set(calls.flatMap(({ outputs }) => outputs));
  const seen = new Set(results);
  const backwards = [...calls].reverse().map(({ inputs, outputs }) => {
    const last = new Set([...outputs, ...inputs].filter((buffer) => made.has(buffer) && !seen.has(buffer)));
    last.forEach((buffer) => seen.add(buffer));
    return [...last];
  });
  return backwards.reverse();
}

/** The program as data, its buffers numbered in the order in which they appear. */
export function describeProgram<Buffer extends object>(
  inputs: readonly Buffer[],
  calls: readonly Call<Buffer>[],
  results: readonly Buffer[],
  typeOf: (buffer: Buffer) => Pick<tf.TensorInfo, "dtype" | "shape">,
): RecordedProgram {
  const names = new Map<Buffer, string>();
  const nameOf = (buffer: Buffer) => names.get(buffer) ?? names.set(buffer, `%${names.size}`).get(buffer)!;
  const typed = (buffer: Buffer) => {
    const { dtype, shape } = typeOf(buffer);
    return `${nameOf(buffer)} ${dtype}[${shape.join()}]`;
  };
  const frees = lastUses(calls, results);
  return {
    inputs: inputs.map(typed),
    calls: calls.map(({ operation, attributes, inputs, outputs }, i) => ({
      operation,
      attributes,
      inputs: inputs.map(nameOf),
      outputs: outputs.map(typed),
      frees: frees[i]!.map(nameOf),
    })),
    results: results.map(nameOf),
  };
}
