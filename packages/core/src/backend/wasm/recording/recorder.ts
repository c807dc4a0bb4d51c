import * as tf from "@tensorflow/tfjs";
import { customGradient } from "../../../nn/custom-gradient.js";
import type { Computation } from "../../../nn/recorded.js";
import { Bundles } from "../../bundles.js";
import { NotRecordableError } from "../../program.js";
import { isFloat, ProgramRecorder, type Recorded, singleResult, type Training } from "../../recorder.js";
import { release, type WasmBackend } from "../memory.js";
import { Recording } from "./recording.js";
import { type Buffer, buffersRead, neededSteps, Replay } from "./replay.js";

/**
 * Records computations as lists of kernel calls. A network makes a thousand calls, and its gradient makes more. For
 * each, TensorFlow.js registers a tensor, a scope and a node of the tape. With small pictures this takes much of the
 * time.
 *
 * A forward pass gives the same bits as the layers. So does a gradient, unless the loss also uses a tensor outside the
 * network: then the network contributes one term to the tensor's gradient instead of several, and the sum rounds
 * differently.
 */
export class ReplayRecorder extends ProgramRecorder<tf.DataId, tf.TensorInfo> {
  /**
   * The first forward pass is not recorded: many networks run only once. With a gradient it is recorded. So each step
   * of a training rounds the same way, also the first step after a run is resumed. Updates of weights take only a few
   * calls each, and are not recorded.
   */
  protected callsBefore({ isTraining }: Computation) {
    return { forward: isTraining ? Infinity : 1, training: 0 };
  }

  protected recordForward({ reads, body }: Computation): Recorded<tf.DataId, tf.TensorInfo> {
    const recording = new Recording();
    const inputs = reads.map((tensor) => recording.input(tensor));
    const results = recording.listen(body);
    const buffers = results.map((tensor) => recording.bufferOf(tensor));
    return recording.problem === undefined
      ? { program: new Replay(inputs, recording.steps, buffers), results }
      : { refused: recording.problem, results };
  }

  protected recordTraining({ reads, body }: Computation): Training<tf.DataId, tf.TensorInfo> {
    const recording = new Recording();
    const inputs = reads.map((tensor) => recording.input(tensor));
    let forwardSteps = 0;
    let value: Buffer | undefined;
    // TensorFlow.js computes gradients of a scalar only. This scalar is never read; its gradient is dy, an input.
    const numberOf = (y: tf.Tensor) =>
      customGradient(
        [y],
        () => ({ value: tf.scalar(0), saved: [] }),
        () => {
          const dy = tf.ones(y.shape);
          inputs.push(recording.input(dy));
          return [dy];
        },
      ) as tf.Scalar;
    const forward = () => {
      const y = singleResult(body());
      value = recording.bufferOf(y);
      forwardSteps = recording.steps.length;
      return numberOf(y);
    };
    const gradients = recording.listen(() => {
      const { grads } = tf.engine().gradients(forward, reads.filter(isFloat), undefined, true);
      return reads.filter(isFloat).map((_, i) => (grads[i] ? recording.bufferOf(grads[i]) : undefined));
    });
    if (recording.problem !== undefined) throw new NotRecordableError(recording.problem);
    const known = gradients.filter((buffer) => buffer !== undefined);
    const before = recording.steps.slice(0, forwardSteps);
    const after = neededSteps(recording.steps.slice(forwardSteps), known);
    const madeBefore = new Set(before.flatMap(({ outputs }) => outputs));
    const read = new Set([...after.flatMap(buffersRead), ...known]);
    const between = [...read].filter((buffer) => madeBefore.has(buffer));
    return {
      forward: new Replay(inputs.slice(0, reads.length), before, [value!, ...between]),
      backward: new Replay([...inputs, ...between], after, known),
      isDifferentiable: gradients.map((buffer) => buffer !== undefined),
    };
  }

  protected readonly bundles = new Bundles<tf.DataId>(() => {
    const backend = tf.backend() as WasmBackend;
    return {
      backend,
      empty: () => backend.makeOutput([0], "float32").dataId,
      free: (dataId) => release(backend, dataId),
    };
  });

  protected handlesOf(tensors: readonly tf.Tensor[]): tf.DataId[] {
    return tensors.map((tensor) => {
      tensor.throwIfDisposed();
      return tensor.dataId;
    });
  }

  protected handleOf({ dataId }: tf.TensorInfo): tf.DataId {
    return dataId;
  }

  protected shapeOf({ shape }: tf.TensorInfo): number[] {
    return shape;
  }

  protected tensorOf(output: tf.TensorInfo): tf.Tensor {
    return tf.engine().makeTensorFromTensorInfo(output);
  }
}
