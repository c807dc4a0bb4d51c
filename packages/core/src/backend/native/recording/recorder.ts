import * as tf from "@tensorflow/tfjs";
import type { Computation } from "../../../nn/recorded.js";
import { Bundles } from "../../bundles.js";
import { freeingAll, isFloat, ProgramRecorder, singleResult, type Training } from "../../recorder.js";
import { Graph, type GraphFile } from "./graph.js";
import { partAfter, type Source } from "./graph-def.js";
import type { NativeBackend, Output } from "../binding.js";
import { record } from "./recording.js";

/**
 * How often a computation runs without a gradient before it is recorded: to prepare a graph, TensorFlow takes as long
 * as that many forward passes. With a gradient it is recorded the first time. So each step of a training rounds the
 * same way, also the first step after a run is resumed.
 */
const CALLS_BEFORE = 8;

/**
 * Records computations as TensorFlow graphs, as `tf.function` does in Python. A network of a few million parameters
 * consists of thousands of small operations, and most of its time would go into calling them one by one
 * (docs/benchmarks.md).
 */
export class GraphRecorder extends ProgramRecorder<number, Output> {
  constructor(private readonly file: GraphFile) {
    super();
  }

  get #backend(): NativeBackend {
    return tf.backend() as NativeBackend;
  }

  protected callsBefore({ isTraining }: Computation) {
    return { forward: isTraining ? 0 : CALLS_BEFORE, training: 0 };
  }

  protected recordForward({ reads, body }: Computation): { program: Graph } {
    return freeingAll(() => {
      const { values, placeholders } = record(this.#backend, reads, ({ sourceOf }) => body().map(sourceOf));
      return { program: new Graph(this.#backend.binding, this.file, placeholders, values) };
    });
  }

  protected recordTraining({ reads, body }: Computation): Training<number, Output> {
    const floats = reads.filter(isFloat);
    const dy = tf.ones(singleResult(tf.tidy(body)).shape);
    const { values, placeholders } = record(this.#backend, [...reads, dy], ({ operations, sourceOf }) => {
      let value: Source | undefined;
      let before = new Set<Source["node"]>();
      const forward = () => {
        const y = singleResult(body());
        [value, before] = [sourceOf(y), new Set(operations)];
        return y;
      };
      const { grads } = tf.engine().gradients(forward, floats, dy, true);
      return { value: value!, before, gradients: floats.map((_, i) => (grads[i] ? sourceOf(grads[i]) : undefined)) };
    });
    const known = values.gradients.filter((source) => source !== undefined);
    const after = partAfter(known, values.before);
    const { binding } = this.#backend;
    const forward = new Graph(binding, this.file, placeholders, [values.value, ...after.given]);
    try {
      const backward = new Graph(binding, this.file, [...placeholders, ...after.placeholders], after.results);
      return { forward, backward, isDifferentiable: values.gradients.map((source) => source !== undefined) };
    } catch (error) {
      forward.dispose();
      throw error;
    }
  }

  protected readonly bundles = new Bundles<number>(() => {
    const backend = this.#backend;
    const { binding, tensorMap } = backend;
    return {
      backend,
      empty: () => {
        const dataId = {};
        tensorMap.set(dataId, { id: -1, shape: [0], dtype: binding.TF_FLOAT, values: null, refCount: 1 });
        return dataId;
      },
      free: (id) => binding.deleteTensor(id),
    };
  });

  protected handlesOf(tensors: readonly tf.Tensor[]): number[] {
    return this.#backend.getInputTensorIds([...tensors]);
  }

  protected handleOf({ id }: Output): number {
    return id;
  }

  protected shapeOf({ shape }: Output): number[] {
    return shape;
  }

  protected tensorOf({ id, shape }: Output): tf.Tensor {
    const { binding, tensorMap } = this.#backend;
    const dataId = {};
    tensorMap.set(dataId, { id, shape, dtype: binding.TF_FLOAT, values: null, refCount: 1 });
    return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype: "float32" });
  }
}
