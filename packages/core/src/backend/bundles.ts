import * as tf from "@tensorflow/tfjs";

/** What a backend must say of itself so that its tensors can be bundled. */
export interface Bundling<Handle> {
  readonly backend: tf.KernelBackend;
  /** New data without numbers. */
  empty(): tf.DataId;
  /** Frees a tensor of the backend that TensorFlow.js knows nothing of. */
  free(handle: Handle): void;
}

/**
 * Several hundred tensors of a backend as one of TensorFlow.js': what a gradient needs of a forward pass is kept and
 * freed together, and one by one would take as long to account for as to compute.
 */
export class Bundles<Handle> {
  readonly #handlesOf = new WeakMap<object, readonly Handle[]>();
  readonly #listened = new WeakSet<tf.KernelBackend>();

  /** `current` is asked of the backend that runs at the time. */
  constructor(private readonly current: () => Bundling<Handle>) {}

  /** Takes over tensors of `size` numbers in all: they are freed with the one returned, whose numbers mean nothing. */
  add(handles: readonly Handle[], size: number): tf.Tensor {
    const bundling = this.current();
    this.#listen(bundling);
    const dataId = bundling.empty();
    this.#handlesOf.set(dataId, handles);
    return tf.engine().makeTensorFromTensorInfo({ dataId, shape: [size], dtype: "float32" });
  }

  /** They stay the bundle's. */
  handlesOf({ dataId }: tf.Tensor): readonly Handle[] {
    return this.#handlesOf.get(dataId)!;
  }

  /** Frees a bundle's tensors when its last clone is freed. */
  #listen({ backend, free }: Bundling<Handle>): void {
    if (this.#listened.has(backend)) return;
    this.#listened.add(backend);
    const disposeData = backend.disposeData.bind(backend);
    backend.disposeData = (dataId, force) => {
      const isGone = disposeData(dataId, force);
      if (isGone) {
        const handles = this.#handlesOf.get(dataId);
        this.#handlesOf.delete(dataId);
        handles?.forEach(free);
      }
      return isGone;
    };
  }
}
