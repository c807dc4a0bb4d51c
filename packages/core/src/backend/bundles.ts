import * as tf from "@tensorflow/tfjs";

/** The functions that a backend must have to bundle its tensors. */
export interface Bundling<Handle> {
  readonly backend: tf.KernelBackend;
  /** New data without values. */
  empty(): tf.DataId;
  /** Frees a tensor of the backend that is not registered with TensorFlow.js. */
  free(handle: Handle): void;
}

/**
 * Several hundred tensors of a backend as one tensor of TensorFlow.js. The tensors of a forward pass that a gradient
 * needs are kept and freed together: to register each one with TensorFlow.js would take as long as to compute it.
 */
export class Bundles<Handle> {
  readonly #handlesOf = new WeakMap<object, readonly Handle[]>();
  readonly #patched = new WeakSet<tf.KernelBackend>();

  /** `current` gives the bundling of the current backend. */
  constructor(private readonly current: () => Bundling<Handle>) {}

  /**
   * Takes over tensors of `size` numbers in all. They are freed with the returned tensor, whose own values have no
   * meaning.
   */
  add(handles: readonly Handle[], size: number): tf.Tensor {
    const bundling = this.current();
    this.#freeWithBundle(bundling);
    const dataId = bundling.empty();
    this.#handlesOf.set(dataId, handles);
    return tf.engine().makeTensorFromTensorInfo({ dataId, shape: [size], dtype: "float32" });
  }

  /** The bundle's tensors, borrowed. */
  handlesOf({ dataId }: tf.Tensor): readonly Handle[] {
    return this.#handlesOf.get(dataId)!;
  }

  /** Makes the backend free a bundle's tensors with the last clone of the bundle. */
  #freeWithBundle({ backend, free }: Bundling<Handle>): void {
    if (this.#patched.has(backend)) return;
    this.#patched.add(backend);
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
