import type * as tf from "@tensorflow/tfjs";
import { Constants } from "../constants.js";
import { CannotRecord } from "../../recorder.js";
import type { Node, Source } from "./graph-def.js";
import type { Binding, NativeBackend } from "../binding.js";

/** What has been computed so far. */
export interface Recording {
  /** The operations done up to now. */
  readonly operations: ReadonlySet<Node>;
  sourceOf(tensor: tf.Tensor): Source;
}

/**
 * Runs `body` and writes down each operation that TensorFlow does for it. What `body` reads must be in `reads`, each
 * tensor with data of its own; whatever else it makes of numbers becomes a constant. `body` is lent the recording, to
 * say which tensors are its results.
 *
 * @throws CannotRecord where `body` reads another tensor, or looks at numbers
 */
export function record<Values>(
  backend: NativeBackend,
  reads: readonly tf.Tensor[],
  body: (recording: Recording) => Values,
): { values: Values; places: Node[] } {
  const { binding } = backend;
  // uploads what is not there yet, so that it is not taken for a constant
  const ids = backend.getInputTensorIds([...reads]);
  if (new Set(ids).size < ids.length) throw new CannotRecord("two of the tensors read are the same");
  const places = reads.map(({ dtype }): Node => ({ kind: "place", type: backend.getDTypeInteger(dtype) }));
  const listener = new Listener(binding, new Map(ids.map((id, i) => [id, { node: places[i]!, output: 0 }])));
  backend.binding = listener.binding;
  try {
    const values = body({
      operations: listener.operations,
      sourceOf: (tensor) => listener.sourceOf(backend.getInputTensorIds([tensor])[0]!),
    });
    if (listener.problem !== undefined) throw new CannotRecord(listener.problem);
    return { values, places };
  } finally {
    backend.binding = binding;
    Constants.of(listener.binding).free();
  }
}

/** Stands in for TensorFlow's library, and remembers what it is asked for. */
class Listener {
  readonly binding: Binding;
  readonly operations = new Set<Node>();
  problem: string | undefined;
  #after: Node[] = [];

  constructor(
    library: Binding,
    private readonly sources: Map<number, Source>,
  ) {
    const executeOp: Binding["executeOp"] = (name, attributes, inputs, outputs) => {
      const made = library.executeOp(name, attributes, inputs, outputs);
      const types = made.map(({ dtype }) => dtype);
      const read = inputs.map((id) => this.sourceOf(id));
      const node: Node = { kind: "operation", name, attributes, inputs: read, after: this.#after, types };
      this.operations.add(node);
      made.forEach(({ id }, output) => sources.set(id, { node, output }));
      return made;
    };
    const createTensor: Binding["createTensor"] = (shape, type, values) => {
      const id = library.createTensor(shape, type, values);
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
      sources.set(id, { node: { kind: "constant", type, shape: [...shape], bytes }, output: 0 });
      return id;
    };
    const tensorDataSync: Binding["tensorDataSync"] = (id) => {
      this.problem ??= "it looks at the numbers of a tensor";
      return library.tensorDataSync(id);
    };
    const runAfter: Binding["runAfter"] = (ids) => void (this.#after = ids.map((id) => this.sourceOf(id).node));
    // The library's functions cannot be replaced, but hidden.
    const own = { executeOp, createTensor, tensorDataSync, runAfter };
    this.binding = Object.create(
      library,
      Object.fromEntries(Object.entries(own).map(([name, value]) => [name, { value }])),
    ) as Binding;
  }

  sourceOf(id: number): Source {
    const known = this.sources.get(id);
    if (known) return known;
    this.problem ??= "it reads a tensor that is not among its inputs";
    return { node: { kind: "place", type: this.binding.TF_FLOAT }, output: 0 };
  }
}
