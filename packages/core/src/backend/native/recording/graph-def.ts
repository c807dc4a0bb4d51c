import { CannotRecord } from "../../recorder.js";
import { Message } from "./protobuf.js";
import type { Attribute, Binding } from "../binding.js";

/** Where a value comes from: a node's output, by number. */
export interface Source {
  readonly node: Node;
  readonly output: number;
}

/** One step of a computation: an operation, a number given beforehand, or a place for a tensor that is given later. */
export type Node =
  | {
      kind: "operation";
      name: string;
      attributes: readonly Attribute[];
      inputs: readonly Source[];
      /** What must have been done before, though it is not read. */
      after: readonly Node[];
      /** Of each output. */
      types: readonly number[];
    }
  | { kind: "constant"; type: number; shape: readonly number[]; bytes: Uint8Array }
  | { kind: "place"; type: number };

/** Operations whose type of numbers TensorFlow infers when they run one by one, so that tfjs-node leaves it out. */
const INFERRED_TYPE = new Set(["ExpandDims"]);

/** As `versions` of a graph says with which TensorFlow it can be read: 2.8, and newer. */
const PRODUCER = 1087;

/** The tag that TensorFlow finds the graph by. */
export const GRAPH_TAG = "serve";

/**
 * The content of `saved_model.pb`: a graph with all that `results` need (tensorflow/core/protobuf/saved_model.proto,
 * meta_graph.proto, framework/graph.proto). Also the names of the results, and of those of `places` that are needed,
 * with their places in the list.
 */
export function savedModel(
  binding: Binding,
  places: readonly Node[],
  results: readonly Source[],
): { bytes: Uint8Array; results: string[]; places: Map<number, string> } {
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
    if (node.kind === "place") add(name, "Placeholder", [], { dtype: typeValue(node.type) });
    else if (node.kind === "constant") add(name, "Const", [], { dtype: typeValue(node.type), value: constant(node) });
    else {
      const order = node.after.map((before) => `^${names.get(before)!}`);
      add(name, node.name, [...node.inputs.map(nameOf), ...order], attributesOf(binding, node));
    }
  }
  // What is given and what is asked for must be different tensors, and each be asked for once.
  const identities = results.map((source, i) => {
    add(`r${i}`, "Identity", [nameOf(source)], { T: typeValue(typeOf(source)) });
    return `r${i}:0`;
  });
  graph.bytes(4, new Message().integer(1, PRODUCER));
  const meta = new Message().bytes(1, new Message().bytes(4, GRAPH_TAG)).bytes(2, graph);
  const given = places.flatMap((node, i) => (names.has(node) ? [[i, `${names.get(node)!}:0`] as const] : []));
  return { bytes: new Message().integer(1, 1).bytes(2, meta).encoded(), results: identities, places: new Map(given) };
}

/**
 * The part of a computation that comes after the nodes of `before`, with places for what it reads of those. Returns the
 * results in it, those places, and what must be put there.
 */
export function cut(
  results: readonly Source[],
  before: ReadonlySet<Node>,
): { results: Source[]; places: Node[]; given: Source[] } {
  const given = new Map<Node, Map<number, { source: Source; place: Node }>>();
  const copies = new Map<Node, Node>();
  const copyOf = (source: Source): Source => {
    const { node, output } = source;
    if (!before.has(node)) return { node: copies.get(node)!, output };
    const outputs = given.get(node) ?? new Map<number, { source: Source; place: Node }>();
    given.set(node, outputs);
    if (!outputs.has(output)) outputs.set(output, { source, place: { kind: "place", type: typeOf(source) } });
    return { node: outputs.get(output)!.place, output: 0 };
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
  return { results: copiedResults, places: all.map(({ place }) => place), given: all.map(({ source }) => source) };
}

function typeOf({ node, output }: Source): number {
  return node.kind === "operation" ? node.types[output]! : node.type;
}

/** All nodes that the results depend on, each after those it reads; of those in `ends` not what they read. */
function needed(results: readonly Source[], ends?: ReadonlySet<Node>): Set<Node> {
  const order = new Set<Node>();
  // Not by recursion: a network's chain of operations is longer than the stack is deep.
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
  if (!known) throw new CannotRecord(`an attribute of type ${type}`);
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
