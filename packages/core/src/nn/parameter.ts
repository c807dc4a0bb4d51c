import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "@tfjs-diffusion/schedulers";

/** The order of a parameter's axes on disk (PyTorch's) and in memory (TensorFlow's). */
export type DiskLayout =
  /** [out, in] on disk, [in, out] in memory. */
  | "linear"
  /** OIHW on disk, HWIO in memory. */
  | "conv2d"
  /** The same in both. */
  | "same";

/** Draws the first value of a parameter; `shape` is the shape in memory. The caller owns the result. */
export type Initializer = (shape: number[], noise: NoiseSource) => tf.Tensor;

/** Thrown when a network without weights is used. */
export class MissingWeightsError extends Error {
  override name = "MissingWeightsError";
}

/**
 * One learnable tensor of a layer. Its shape is fixed from the start; it has a value after {@link assign}. So a network
 * of any size can be built, and its keys listed, without allocating memory.
 */
export class Parameter {
  #variable: tf.Variable | undefined;
  #isDisposed = false;
  /**
   * A tensor of the same shape that layers read in place of the value, while it is set. It is computed from other
   * variables, which so get gradients. Borrowed.
   */
  standIn: tf.Tensor | undefined;

  constructor(
    /** Shape in memory. */
    readonly shape: number[],
    readonly initializer: Initializer,
    readonly layout: DiskLayout = "same",
  ) {}

  /** Shape on disk, in PyTorch's order. */
  get diskShape(): number[] {
    return this.layout === "same" ? [...this.shape] : DISK_AXES[this.layout].map((axis) => this.shape[axis]!);
  }

  get isAllocated(): boolean {
    return this.#variable !== undefined;
  }

  /**
   * The tensor that layers compute with.
   * @throws MissingWeightsError before the first {@link assign}
   */
  get value(): tf.Tensor {
    return this.standIn ?? this.variable;
  }

  /**
   * The variable that holds the value.
   * @throws MissingWeightsError before the first {@link assign}
   */
  get variable(): tf.Variable {
    if (!this.#variable) {
      throw new MissingWeightsError(
        this.#isDisposed
          ? "This network, or its pipeline, was disposed of: its weights are freed. Load it again to use it."
          : "This network has no weights yet: call its initialize(noise), or build it with loadModel(folder).",
      );
    }
    return this.#variable;
  }

  /** Sets the value; borrows `value`, which has the shape in memory. */
  assign(value: tf.Tensor): void {
    tf.util.assertShapesMatch(value.shape, this.shape, "Parameter.assign: ");
    if (this.#variable) this.#variable.assign(value);
    else this.#variable = tf.tidy(() => tf.variable(value));
  }

  /** Sets the value from a tensor in PyTorch's order; borrows `value`. */
  assignFromDisk(value: tf.Tensor): void {
    tf.tidy(() => this.assign(this.inMemoryOrder(value)));
  }

  /**
   * A tensor of this parameter's shape in PyTorch's order -> the same in TensorFlow's order; the caller owns it.
   */
  inMemoryOrder(value: tf.Tensor): tf.Tensor {
    return this.layout === "same" ? value.clone() : value.transpose(MEMORY_AXES[this.layout]);
  }

  /** The value in PyTorch's order; the caller owns it. */
  toDisk(): tf.Tensor {
    return this.layout === "same" ? this.variable.clone() : this.variable.transpose(DISK_AXES[this.layout]);
  }

  /** Frees the value; another can be assigned. */
  dispose(): void {
    this.#isDisposed ||= this.#variable !== undefined;
    this.#variable?.dispose();
    this.#variable = undefined;
  }
}

const DISK_AXES = { linear: [1, 0], conv2d: [3, 2, 0, 1] };
const MEMORY_AXES = { linear: [1, 0], conv2d: [2, 3, 1, 0] };

/**
 * Every parameter below `module`, with its path: fields are named as in public checkpoints, so the paths
 * are the checkpoint's keys (`down_blocks.0.resnets.1.conv1.weight`). Arrays count from 0, holes included.
 */
export function* namedParameters(module: object, prefix = ""): Generator<[name: string, parameter: Parameter]> {
  for (const [field, value] of Object.entries(module)) {
    if (value instanceof Parameter) yield [prefix + field, value];
    else if (Array.isArray(value) || isLayer(value)) yield* namedParameters(value, `${prefix}${field}.`);
  }
}

/** Whether a value is an instance of a class, other than tensors. Plain objects (configs) are not layers. */
export function isLayer(value: unknown): value is object {
  if (typeof value !== "object" || value === null || value instanceof tf.Tensor) return false;
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype !== Object.prototype && prototype !== null && !ArrayBuffer.isView(value);
}
