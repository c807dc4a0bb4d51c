import type { CarriedError } from "./carried-errors.js";

/** From the page: begin a task, or stop it. */
export type ToWorker =
  | { readonly kind: "call"; readonly id: number; readonly task: string; readonly input: unknown }
  | { readonly kind: "stop"; readonly id: number };

/** From the worker: how the task with this number goes on, or how it ended. */
export type FromWorker =
  | { readonly kind: "progress"; readonly id: number; readonly progress: unknown }
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: CarriedError };

/** Whether a message is one of these; other code may send its own over the same channel. */
export function isMessage<M extends ToWorker | FromWorker>(
  message: unknown,
  kinds: readonly M["kind"][],
): message is M {
  const { kind, id } = (message ?? {}) as Partial<M>;
  return typeof id === "number" && kinds.includes(kind as M["kind"]);
}
