import type * as tf from "@tensorflow/tfjs";
import { Constants } from "../constants.js";
import { NotRecordableError } from "../../program.js";
import type { Node, Source } from "./graph-def.js";
import type { Binding, NativeBackend } from "../binding.js";

/** The values computed so far. */
export interface Recording {
  /** The operations recorded so far. */
  readonly operations: ReadonlySet<Node>;
  sourceOf(tensor: tf.Tensor): Source;
}

/**
 * Runs `body` and lists each operation that TensorFlow runs for it. All tensors that `body` reads must be in `reads`,
 * each with its own data; tensors that it makes from JavaScript numbers become constants. `body` receives the
 * recording, to declare which tensors are its results.
 *
 * @throws NotRecordableError if `body` reads another tensor, or the values of a tensor
 */
export function record<Values>(
  backend: NativeBackend,
  reads: readonly tf.Tensor[],
  body: (recording: Recording) => Values,
): { values: Values; placeholders: Node[] } {
  const { binding } = backend;
  // This also uploads tensors that TensorFlow does not have yet; later they would count as constants.
  const ids = backend.getInputTensorIds([...reads]);
  if (new Set(ids).size < ids.length) throw new NotRecordableError("two of the tensors read are the same");
  const placeholders = reads.map(({ dtype, shape }): Node => {
    return { kind: "placeholder", type: backend.getDTypeInteger(dtype), shape: [...shape] };
  });
  const listener = new Listener(binding, new Map(ids.map((id, i) => [id, { node: placeholders[i]!, output: 0 }])));
  backend.binding = listener.binding;
  try {
    const values = body({
      operations: listener.operations,
      sourceOf: (tensor) => listener.sourceOf(backend.getInputTensorIds([tensor])[0]!),
    });
    if (listener.problem !== undefined) throw new NotRecordableError(listener.problem);
    return { values, placeholders };
  } finally {
    backend.binding = binding;
    Constants.of(listener.binding).free();
  }
}

/** Replaces TensorFlow's library, and lists the operations that are called. */
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
      const node: Node = {
        kind: "operation",
        name,
        attributes,
        inputs: inputs.map((id) => this.sourceOf(id)),
        after: this.#after,
        types: made.map(({ dtype }) => dtype),
        shapes: made.map(({ shape }) => shape),
      };
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
    // The library's functions cannot be replaced, but an object in front of it can have others.
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
    return { node: { kind: "placeholder", type: this.binding.TF_FLOAT, shape: [] }, output: 0 };
  }
}
