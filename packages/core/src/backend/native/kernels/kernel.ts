import type { NativeTensor } from "../binding.js";
import type { NativeOps } from "../ops.js";

/** A fused kernel: inputs and attributes by name -> results. */
type Run<Inputs, Attributes> = (ops: NativeOps, inputs: Inputs, attributes: Attributes) => NativeTensor[];

/** A fused kernel of a layer (nn/fused-op.ts), with its gradient. */
export interface NativeLayerKernel<Names extends string, Attributes = object, Saved extends string = never> {
  /** Returns the value, then the tensors that the gradient needs besides the inputs. */
  forward: Run<Record<Names, NativeTensor>, Attributes>;
  /** Takes the inputs, the saved tensors as "saved0", "saved1" ..., and dy; returns one gradient for each input. */
  gradient: Run<Record<Names | Saved | "dy", NativeTensor>, Attributes>;
}

/** A fused kernel without a gradient. */
export type NativeKernel<Names extends string, Attributes = object> = Run<Record<Names, NativeTensor>, Attributes>;

/** A fused kernel with any inputs. */
export type AnyNativeKernel = Run<never, never>;
