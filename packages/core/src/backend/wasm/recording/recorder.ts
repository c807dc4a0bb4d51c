import * as tf from "@tensorflow/tfjs";
import { customGradient } from "../../../nn/custom-gradient.js";
import type { Repeated } from "../../../nn/recorded.js";
import { Bundles } from "../../bundles.js";
import { CannotRecord, isFloat, onlyOne, ProgramRecorder, type Recorded, type Training } from "../../recorder.js";
import { release, type WasmBackend } from "../memory.js";
import { Recording } from "./recording.js";
import { neededSteps, Replay, type Slot, slotsRead } from "./replay.js";

/**
 * Repeated computations as lists of kernel calls. A network is a thousand of them, its gradient more, and TensorFlow.js
 * keeps accounts of each: with small pictures that is a good part of the time. The bits of a forward pass are those of
 * the layers. So are those of a gradient, unless the loss uses a tensor outside the network as well: then what flows
 * back from the network is one term of its gradient instead of several, and float32 sums round.
 */
export class ReplayRecorder extends ProgramRecorder<tf.DataId, tf.TensorInfo> {
  /**
   * A forward pass that is done once is not worth it. With a gradient it is recorded at once, so that each step of a
   * training rounds alike, also the first after it went on. Updates of weights are a few calls each, and stay as they
   * are.
   */
  protected callsBefore({ isTraining }: Repeated) {
    return { forward: isTraining ? Infinity : 1, training: 0 };
  }

  protected recordForward({ reads, body }: Repeated): Recorded<tf.DataId, tf.TensorInfo> {
    const recording = new Recording();
    const places = reads.map((tensor) => recording.place(tensor));
    const results = recording.listen(body);
    const slots = results.map((tensor) => recording.slotOf(tensor));
    return recording.problem === undefined
      ? { program: new Replay(places, recording.steps, slots), results }
      : { refused: recording.problem, results };
  }

  protected recordTraining({ reads, body }: Repeated): Training<tf.DataId, tf.TensorInfo> {
    const recording = new Recording();
    const places = reads.map((tensor) => recording.place(tensor));
    let forwardSteps = 0;
    let value: Slot | undefined;
    // The gradient of a number that nobody looks at, whose own gradient with respect to the value is dy.
    const numberOf = (y: tf.Tensor) =>
      customGradient(
        [y],
        () => ({ value: tf.scalar(0), saved: [] }),
        () => {
          const dy = tf.ones(y.shape);
          places.push(recording.place(dy));
          return [dy];
        },
      ) as tf.Scalar;
    const forward = () => {
      const y = onlyOne(body());
      value = recording.slotOf(y);
      forwardSteps = recording.steps.length;
      return numberOf(y);
    };
    const slots = recording.listen(() => {
      const { grads } = tf.engine().gradients(forward, reads.filter(isFloat), undefined, true);
      return reads.filter(isFloat).map((_, i) => (grads[i] ? recording.slotOf(grads[i]) : undefined));
    });
    if (recording.problem !== undefined) throw new CannotRecord(recording.problem);
    const known = slots.filter((slot) => slot !== undefined);
    const before = recording.steps.slice(0, forwardSteps);
    const after = neededSteps(recording.steps.slice(forwardSteps), known);
    const madeBefore = new Set(before.flatMap(({ outputs }) => outputs));
    const between = [...new Set([...after.flatMap(slotsRead), ...known])].filter((slot) => madeBefore.has(slot));
    return {
      forward: new Replay(places.slice(0, reads.length), before, [value!, ...between]),
      backward: new Replay([...places, ...between], after, known),
      isDifferentiable: slots.map((slot) => slot !== undefined),
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
