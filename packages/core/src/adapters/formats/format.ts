import type * as tf from "@tensorflow/tfjs";

/** A value for each tensor of a module, by the tensor's role: "down", "hada_w1_a", "diff", … */
export type ByRole<T> = Readonly<Record<string, T>>;

/** An ending of names, and what it says about a tensor. */
export interface Ending {
  pattern: RegExp;
  role: string;
  /** The parameter of its module that it changes. */
  of: "weight" | "bias";
}

/** A representation of a weight's change, mostly with fewer numbers than the weight has. */
export interface LoraFormat {
  readonly name: string;
  readonly endings: readonly Ending[];
  /**
   * Why tensors of these shapes (at least one) do not make a change of a weight of shape `weight` (PyTorch's order);
   * undefined if they do.
   */
  problem(shapes: ByRole<readonly number[]>, weight: readonly number[]): string | undefined;
  /**
   * The rank, by which alpha is divided; undefined if the tensors have none. A format without this function has neither
   * alpha nor DoRA's magnitudes.
   */
  rank?(shapes: ByRole<readonly number[]>): number | undefined;
  /**
   * The change at scale 1, without alpha, with the shape of the weight. Borrows the tensors; the caller owns the
   * result.
   */
  delta(tensors: ByRole<tf.Tensor>, weight: readonly number[]): tf.Tensor;
}

/** Endings that consist of a dot and the role, as in LyCORIS. */
export function endingsOf(...roles: string[]): Ending[] {
  return roles.map((role) => ({ pattern: new RegExp(`\\.${role}(?:\\.default)?$`), role, of: "weight" }));
}

/**
 * Whether shapes are equal up to axes of length 1 at the end: a linear layer and a 1 x 1 convolution are the same
 * matrix.
 */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  const all = Math.max(a.length, b.length);
  return Array.from({ length: all }, (_, axis) => (a[axis] ?? 1) === (b[axis] ?? 1)).every(Boolean);
}

/** The problem that some of the roles are missing; undefined if all are present. */
export function missing(format: string, shapes: ByRole<readonly number[]>, roles: string[]): string | undefined {
  const absent = roles.filter((role) => !shapes[role]);
  return absent.length === 0 ? undefined : `its ${format} lacks ${absent.join(" and ")}`;
}

/** The problem that the factors do not give a tensor of the weight's shape. */
export function misfit(shapes: ByRole<readonly number[]>, weight: readonly number[]): string {
  const given = Object.entries(shapes).map(([role, shape]) => `${role} [${shape.join(", ")}]`);
  return `${given.join(", ")} ${given.length === 1 ? "does" : "do"} not give the weight's shape [${weight.join(", ")}]`;
}
