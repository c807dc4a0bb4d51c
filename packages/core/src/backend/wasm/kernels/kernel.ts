import type * as tf from "@tensorflow/tfjs";
import type { WasmContext } from "../context.js";

/** A fused kernel: inputs and attributes by name -> results. */
type Run<Inputs, Attributes> = (wasm: WasmContext, inputs: Inputs, attributes: Attributes) => tf.TensorInfo[];

/** A fused kernel of a layer (nn/fused-op.ts), with its gradient. */
export interface WasmLayerKernel<Names extends string, Attributes = object, Saved extends string = never> {
  /** Returns the value, then the tensors that the gradient needs besides the inputs. */
  forward: Run<Record<Names, tf.TensorInfo>, Attributes>;
  /** Takes the inputs, the saved tensors as "saved0", "saved1" ..., and dy; returns one gradient for each input. */
  gradient: Run<Record<Names | Saved | "dy", tf.TensorInfo>, Attributes>;
}

/** A fused kernel without a gradient. */
export type WasmKernel<Names extends string, Attributes = object> = Run<Record<Names, tf.TensorInfo>, Attributes>;

/** A fused kernel with any inputs. */
export type AnyWasmKernel = Run<never, never>;

/** A kernel of TensorFlow.js for the wasm backend; `stock` is the backend's own kernel, if it has one. */
export type WasmTfKernel = (wasm: WasmContext, stock: tf.KernelFunc) => tf.KernelFunc;
