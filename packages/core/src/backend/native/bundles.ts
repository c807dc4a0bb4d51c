import * as tf from "@tensorflow/tfjs";
import type { NativeBackend, Output } from "./raw.js";

/**
 * Several hundred of TensorFlow's tensors as one of TensorFlow.js': what a gradient needs of a forward pass is kept and freed together,
 * and one by one would take as long to account for as to compute.
 */
export class Bundles {
  readonly #idsOf = new WeakMap<object, number[]>();
  readonly #listened = new WeakSet<NativeBackend>();

  /** Takes over `tensors`: they are freed with the one returned, whose numbers mean nothing but whose size is theirs. */
  add(backend: NativeBackend, tensors: readonly Output[]): tf.Tensor {
    this.#listen(backend);
    const shape = [tensors.reduce((sum, { shape }) => sum + tf.util.sizeFromShape(shape), 0)];
    const dataId = {};
    const ids = tensors.map(({ id }) => id);
    this.#idsOf.set(dataId, ids);
    backend.tensorMap.set(dataId, { id: -1, shape, dtype: backend.binding.TF_FLOAT, values: null, refCount: 1 });
    return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype: "float32" });
  }

  /** They stay the bundle's. */
  idsOf({ dataId }: tf.Tensor): readonly number[] {
    return this.#idsOf.get(dataId)!;
  }

  /** Frees a bundle's tensors when its last clone is freed. */
  #listen(backend: NativeBackend): void {
    if (this.#listened.has(backend)) return;
    this.#listened.add(backend);
    const disposeData = backend.disposeData.bind(backend);
    backend.disposeData = (dataId, force) => {
      const isGone = disposeData(dataId, force);
      if (isGone) {
        for (const id of this.#idsOf.get(dataId) ?? []) backend.binding.deleteTensor(id);
        this.#idsOf.delete(dataId);
      }
      return isGone;
    };
  }
}
