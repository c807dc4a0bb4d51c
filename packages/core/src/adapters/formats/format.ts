import type * as tf from "@tensorflow/tfjs";

/** Something of each tensor of a module, by its role: "down", "hada_w1_a", "diff", … */
export type ByRole<T> = Readonly<Record<string, T>>;

/** How the end of a name says what a tensor is. */
export interface Ending {
  pattern: RegExp;
  role: string;
  /** Which parameter of its module it changes. */
  of: "weight" | "bias";
}

/** A way of writing a change of a weight with fewer numbers than the weight has, or with as many. */
export interface LoraFormat {
  readonly name: string;
  readonly endings: readonly Ending[];
  /**
   * What is wrong with tensors of these shapes as a change of `weight`, a shape in PyTorch's order; undefined where
   * nothing is. There is at least one.
   */
  problem(shapes: ByRole<readonly number[]>, weight: readonly number[]): string | undefined;
  /**
   * What alpha is divided by; undefined where the tensors have no rank. A format without this function knows neither
   * alpha nor DoRA's magnitudes.
   */
  rank?(shapes: ByRole<readonly number[]>): number | undefined;
  /**
   * The change at scale 1 and without alpha, in the shape of the weight. Borrows the tensors; the caller owns the
   * result.
   */
  delta(tensors: ByRole<tf.Tensor>, weight: readonly number[]): tf.Tensor;
}

/** Endings of names that are a dot and the role itself, as LyCORIS writes them. */
export function endingsOf(...roles: string[]): Ending[] {
  return roles.map((role) => ({ pattern: new RegExp(`\\.${role}(?:\\.default)?$`), role, of: "weight" }));
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Equal but for axes of length 1 at the end: a linear layer and a convolution of 1 x 1 are the same matrix. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  const all = Math.max(a.length, b.length);
  return Array.from({ length: all }, (_, axis) => (a[axis] ?? 1) === (b[axis] ?? 1)).every(Boolean);
}

/** Which of the roles are not there, as a problem. */
export function missing(format: string, shapes: ByRole<readonly number[]>, roles: string[]): string | undefined {
  const absent = roles.filter((role) => !shapes[role]);
  return absent.length === 0 ? undefined : `its ${format} lacks ${absent.join(" and ")}`;
}

/** The problem that factors do not make a tensor of the weight's shape. */
export function misfit(shapes: ByRole<readonly number[]>, weight: readonly number[]): string {
  const given = Object.entries(shapes).map(([role, shape]) => `${role} [${shape.join(", ")}]`);
  return `${given.join(", ")} ${given.length === 1 ? "does" : "do"} not make the weight's [${weight.join(", ")}]`;
}
