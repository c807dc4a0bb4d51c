import type * as tf from "@tensorflow/tfjs";
import type { RecordedProgram } from "../../../nn/recorded.js";
import { describeProgram, NotRecordableError } from "../../program.js";
import { Message } from "./protobuf.js";
import type { Attribute, Binding } from "../binding.js";

/** The source of a value: one of the outputs of a node. */
export interface Source {
  readonly node: Node;
  readonly output: number;
}

/** One step of a computation: an operation, a constant, or a placeholder for an input tensor of each run. */
export type Node =
  | {
      kind: "operation";
      name: string;
      attributes: readonly Attribute[];
      inputs: readonly Source[];
      /** Nodes that must run before this one, although it does not read them. */
      after: readonly Node[];
      /** Of each output. */
      types: readonly number[];
      shapes: readonly (readonly number[])[];
    }
  | { kind: "constant"; type: number; shape: readonly number[]; bytes: Uint8Array }
  | { kind: "placeholder"; type: number; shape: readonly number[] };

/** Operations for which tfjs-node leaves out the number type: TensorFlow infers it if they run one by one. */
const INFERRED_TYPE = new Set(["ExpandDims"]);

/** The version of a graph; this one is read by TensorFlow 2.8 and later. */
const PRODUCER = 1087;

/** The tag by which TensorFlow finds the graph. */
export const GRAPH_TAG = "serve";

/**
 * The content of `saved_model.pb`: a graph with all nodes that the results need (tensorflow/core/protobuf:
 * saved_model.proto, meta_graph.proto; framework/graph.proto). Also the names of the results, and of the placeholders
 * that are needed, by their index.
 */
export function savedModel(
  binding: Binding,
  placeholders: readonly Node[],
  results: readonly Source[],
): { bytes: Uint8Array; results: string[]; placeholders: Map<number, string> } {
  const graph = new Message();
  const names = new Map<Node, string>();
  const nameOf = ({ node, output }: Source) => `${names.get(node)!}${output === 0 ? "" : `:${output}`}`;
  const add = (name: string, op: string, inputs: string[], attributes: Record<string, Message>) => {
    const node = new Message().bytes(1, name).bytes(2, op);
    for (const input of inputs) node.bytes(3, input);
    for (const [key, value] of Object.entries(attributes)) node.bytes(5, new Message().bytes(1, key).bytes(2, value));
    graph.bytes(1, node);
  };
  for (const node of needed(results)) {
    const name = `n${names.size}`;
    names.set(node, name);
    if (node.kind === "placeholder") add(name, "Placeholder", [], { dtype: typeValue(node.type) });
    else if (node.kind === "constant") add(name, "Const", [], { dtype: typeValue(node.type), value: constant(node) });
    else {
      const order = node.after.map((before) => `^${names.get(before)!}`);
      add(name, node.name, [...node.inputs.map(nameOf), ...order], attributesOf(binding, node));
    }
  }
  // A result must not be a placeholder, and must not be requested twice.
  const identities = results.map((source, i) => {
    add(`r${i}`, "Identity", [nameOf(source)], { T: typeValue(typeOf(source)) });
    return `r${i}:0`;
  });
  graph.bytes(4, new Message().integer(1, PRODUCER));
  const meta = new Message().bytes(1, new Message().bytes(4, GRAPH_TAG)).bytes(2, graph);
  const given = placeholders.flatMap((node, i) => (names.has(node) ? [[i, `${names.get(node)!}:0`] as const] : []));
  const bytes = new Message().integer(1, 1).bytes(2, meta).encoded();
  return { bytes, results: identities, placeholders: new Map(given) };
}

/**
 * The part of a computation that comes after the nodes of `before`. Placeholders replace the values that it reads from
 * those nodes; `given` are these values, in the same order.
 */
export function partAfter(
  results: readonly Source[],
  before: ReadonlySet<Node>,
): { results: Source[]; placeholders: Node[]; given: Source[] } {
  const given = new Map<Node, Map<number, { source: Source; placeholder: Node }>>();
  const copies = new Map<Node, Node>();
  const copyOf = (source: Source): Source => {
    const { node, output } = source;
    if (!before.has(node)) return { node: copies.get(node)!, output };
    const outputs = given.get(node) ?? new Map<number, { source: Source; placeholder: Node }>();
    given.set(node, outputs);
    if (!outputs.has(output)) {
      const placeholder: Node = { kind: "placeholder", type: typeOf(source), shape: shapeOf(source) };
      outputs.set(output, { source, placeholder });
    }
    return { node: outputs.get(output)!.placeholder, output: 0 };
  };
  for (const node of needed(results, before)) {
    const isCopied = node.kind === "operation" && !before.has(node);
    if (!isCopied) copies.set(node, node);
    else {
      const after = node.after.filter((waitedFor) => !before.has(waitedFor)).map((waitedFor) => copies.get(waitedFor)!);
      copies.set(node, { ...node, inputs: node.inputs.map(copyOf), after });
    }
  }
  const copiedResults = results.map(copyOf);
  const all = [...given.values()].flatMap((outputs) => [...outputs.values()]);
  return {
    results: copiedResults,
    placeholders: all.map(({ placeholder }) => placeholder),
    given: all.map(({ source }) => source),
  };
}

/**
 * The graph as data. TensorFlow itself decides when it runs an operation and frees a buffer; the order here is one
 * possible order.
 */
export function describeGraph(
  binding: Binding,
  placeholders: readonly Node[],
  results: readonly Source[],
): RecordedProgram {
  const buffers = new Map<Node, Source[]>();
  const bufferOf = (source: Source): Source => {
    const { node, output } = source;
    const known = buffers.get(node) ?? [];
    buffers.set(node, known);
    return (known[output] ??= source);
  };
  const order = needed(results);
  const calls = [...order].flatMap((node) => {
    if (node.kind === "placeholder") return [];
    const isConstant = node.kind === "constant";
    const outputs = isConstant ? [0] : node.types.map((_, output) => output);
    return [
      {
        operation: isConstant ? "Const" : node.name,
        attributes: Object.fromEntries(isConstant ? [] : node.attributes.map(({ name, value }) => [name, value])),
        inputs: isConstant ? [] : node.inputs.map(bufferOf),
        outputs: outputs.map((output) => bufferOf({ node, output })),
      },
    ];
  });
  const inputs = placeholders.filter((node) => order.has(node)).map((node) => bufferOf({ node, output: 0 }));
  return describeProgram(inputs, calls, results.map(bufferOf), (source) => ({
    dtype: dtypeOf(binding, typeOf(source)),
    shape: [...shapeOf(source)],
  }));
}

function dtypeOf(binding: Binding, type: number): tf.DataType {
  const names = new Map<number, string>([
    [binding.TF_FLOAT, "float32"],
    [binding.TF_INT32, "int32"],
  ]);
  return (names.get(type) ?? `type ${type}`) as tf.DataType;
}

function shapeOf({ node, output }: Source): readonly number[] {
  return node.kind === "operation" ? node.shapes[output]! : node.shape;
}

function typeOf({ node, output }: Source): number {
  return node.kind === "operation" ? node.types[output]! : node.type;
}

/**
 * All nodes that the results depend on, each after the nodes that it reads; the search stops at the nodes of `ends`.
 */
function needed(results: readonly Source[], ends?: ReadonlySet<Node>): Set<Node> {
  const order = new Set<Node>();
  // No recursion: a network's chain of operations is longer than the call stack allows.
  const waiting = results.map(({ node }) => ({ node, isRead: false })).reverse();
  while (waiting.length > 0) {
    const { node, isRead } = waiting.pop()!;
    if (order.has(node)) continue;
    if (isRead || node.kind !== "operation" || ends?.has(node)) order.add(node);
    else {
      waiting.push({ node, isRead: true });
      for (const before of [...node.after, ...node.inputs.map(({ node }) => node)]) {
        waiting.push({ node: before, isRead: false });
      }
    }
  }
  return order;
}

function attributesOf(binding: Binding, node: Node & { kind: "operation" }): Record<string, Message> {
  const values = Object.fromEntries(node.attributes.map((given) => [given.name, attributeValue(binding, given)]));
  return INFERRED_TYPE.has(node.name) ? { T: typeValue(binding.TF_FLOAT), ...values } : values;
}

/** tensorflow/core/framework/attr_value.proto. */
function attributeValue(binding: Binding, { type, value }: Attribute): Message {
  const fields: Record<number, [number, (message: Message, field: number, value: never) => Message]> = {
    [binding.TF_ATTR_STRING]: [2, (message, field, value) => message.bytes(field, value)],
    [binding.TF_ATTR_INT]: [3, (message, field, value) => message.integer(field, value)],
    [binding.TF_ATTR_FLOAT]: [4, (message, field, value) => message.float(field, value)],
    [binding.TF_ATTR_BOOL]: [5, (message, field, value) => message.integer(field, value)],
    [binding.TF_ATTR_TYPE]: [6, (message, field, value) => message.integer(field, value)],
  };
  const known = fields[type];
  if (!known) throw new NotRecordableError(`an attribute of type ${type}`);
  const [field, add] = known;
  if (!Array.isArray(value)) return add(new Message(), field, value as never);
  const list = new Message();
  for (const one of value) add(list, field, one as never);
  return new Message().bytes(1, list);
}

function typeValue(type: number): Message {
  return new Message().integer(6, type);
}

/** tensorflow/core/framework/tensor.proto. */
function constant({ type, shape, bytes }: Node & { kind: "constant" }): Message {
  const sizes = new Message();
  for (const size of shape) sizes.bytes(2, new Message().integer(1, size));
  return new Message().bytes(8, new Message().integer(1, type).bytes(2, sizes).bytes(4, bytes));
}
