import * as tf from "@tensorflow/tfjs";
import { isLayer } from "./parameter.js";
import { valuesAtOnce } from "../platform/values-at-once.js";

/** Functions to call at every layer's forward pass, outer layers before inner ones. */
export interface LayerListener {
  /** `path` is the layer's path in the checkpoint, such as "down_blocks.0.resnets.1.conv1"; "" is the model itself. */
  enter?(path: string, layer: object): void;
  /** `output` is borrowed. Not called if the layer threw. */
  leave?(path: string, layer: object, output: unknown): void;
}

/** How many listeners there are. */
let listeners = 0;

/** Whether any model is traced. Its layers must then run one by one. */
export function areLayersTraced(): boolean {
  return listeners > 0;
}

/**
 * Listens to the `forward` of `model` and of every layer in it, until the function that it returns is called.
 * It costs nothing otherwise: layers have no code for it.
 */
export function traceLayers(model: object, listener: LayerListener): () => void {
  const traced = [...forwardLayers(model)].map(([path, layer]) => listenTo(layer, path, listener));
  listeners++;
  let isListening = true;
  return () => {
    if (!isListening) return;
    isListening = false;
    listeners--;
    traced.forEach((restore) => restore());
  };
}

interface ForwardLayer {
  forward: (...inputs: unknown[]) => unknown;
}

function* forwardLayers(layer: object, path = ""): Generator<[path: string, layer: ForwardLayer]> {
  if ("forward" in layer && typeof layer.forward === "function") yield [path, layer as ForwardLayer];
  for (const [field, value] of Object.entries(layer)) {
    if (Array.isArray(value) || isLayer(value)) yield* forwardLayers(value, path ? `${path}.${field}` : field);
  }
}

/** Shadows the class's `forward` by a property of the object; removing the property restores it. */
function listenTo(layer: ForwardLayer, path: string, listener: LayerListener): () => void {
  const before = Object.getOwnPropertyDescriptor(layer, "forward");
  const forward = layer.forward.bind(layer);
  layer.forward = (...inputs) => {
    listener.enter?.(path, layer);
    const output = forward(...inputs);
    listener.leave?.(path, layer, output);
    return output;
  };
  return () => {
    if (before) Object.defineProperty(layer, "forward", before);
    else delete (layer as Partial<ForwardLayer>).forward;
  };
}

/** Thrown when a layer returned NaN or infinity. It is the innermost such layer, and so the first. */
export class NonFiniteLayerError extends Error {
  override name = "NonFiniteLayerError";
  constructor(
    message: string,
    /**
     * The layer's path in the checkpoint; "" is the model itself; undefined means between layers.
     */
    readonly path: string | undefined,
  ) {
    super(message);
  }
}

/**
 * For debugging: from now on every layer's output is checked, and the first that is not finite throws {@link
 * NonFiniteLayerError}, which names the layer. This is slow, because each output is read back. The returned function
 * ends it.
 *
 * @param where the beginning of the message
 */
export function checkLayersFinite(model: object, where = ""): () => void {
  return traceLayers(model, {
    leave(path, layer, output) {
      for (const tensor of tensorsIn(output)) {
        const bad = nonFiniteValues(tensor);
        if (bad === 0) continue;
        const place = path === "" ? "The model's output" : `The output of ${path} (${layer.constructor.name})`;
        throw new NonFiniteLayerError(
          `${where}${place} holds ${bad} values of ${tensor.size} that are NaN or infinite, and no layer inside it did. ` +
            "Check its inputs (are they finite, and in the range of the training?) and its weights; " +
            "a frequent cause is float16 weights that overflowed.",
          path,
        );
      }
    },
  });
}

/** How many values are NaN or infinite. */
export function nonFiniteValues(tensor: tf.Tensor): number {
  return tf.tidy(() => valuesAtOnce("checkLayersFinite", tf.sum(tf.logicalNot(tf.isFinite(tensor)).toInt()))[0]!);
}

function tensorsIn(output: unknown): tf.Tensor[] {
  if (output instanceof tf.Tensor) return output.dtype === "float32" ? [output as tf.Tensor] : [];
  if (typeof output !== "object" || output === null) return [];
  return Object.values(output).flatMap(tensorsIn);
}
