import type { Attribute, Binding, NativeTensor } from "./binding.js";

/** The most constants that are kept: more than networks of a few sizes need. */
const MOST_CONSTANTS = 4096;
const kept = new WeakMap<Binding, Constants>();

/** Further operands of operations, created once: shapes and axes, which are tensors in TensorFlow, and types. */
export class Constants {
  #integers = new Map<string, NativeTensor>();
  readonly #types = new Map<string | undefined, Attribute[]>();

  private constructor(private readonly binding: Binding) {}

  static of(binding: Binding): Constants {
    const constants = kept.get(binding) ?? new Constants(binding);
    kept.set(binding, constants);
    return constants;
  }

  /**
   * int32 values as a vector, or one value as a scalar; borrowed. If there are too many, all are removed and passed to
   * `free`, which must free them after the current computation.
   */
  integers(values: readonly number[] | number, free: (id: number) => void): NativeTensor {
    const key = typeof values === "number" ? `${values}` : `[${values.join()}]`;
    const known = this.#integers.get(key);
    if (known) return known;
    if (this.#integers.size >= MOST_CONSTANTS) {
      for (const { id } of this.#integers.values()) free(id);
      this.#integers = new Map();
    }
    const [shape, list] = typeof values === "number" ? [[], [values]] : [[values.length], values];
    const made = { id: this.binding.createTensor(shape, this.binding.TF_INT32, Int32Array.from(list)), shape };
    this.#integers.set(key, made);
    return made;
  }

  /** Frees them all. */
  free(): void {
    for (const { id } of this.#integers.values()) this.binding.deleteTensor(id);
    this.#integers = new Map();
  }

  /** The attributes for types: T is float32, and if there is an operand of indices or sizes, its type is int32. */
  types(index?: string): readonly Attribute[] {
    const known = this.#types.get(index);
    if (known) return known;
    const { TF_ATTR_TYPE: type, TF_FLOAT, TF_INT32 } = this.binding;
    const made = [{ name: "T", type, value: TF_FLOAT }];
    if (index !== undefined) made.push({ name: index, type, value: TF_INT32 });
    this.#types.set(index, made);
    return made;
  }
}
