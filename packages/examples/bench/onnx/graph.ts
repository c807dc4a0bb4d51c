import type * as tf from "@tensorflow/tfjs";

/** The messages of ONNX (onnx.proto) that we write, in the spelling of protobufjs; `encode.ts` has their schema. */
export interface OnnxNode {
  opType: string;
  input: string[];
  output: string[];
  attribute: OnnxAttribute[];
}

export type OnnxAttribute = { name: string } & (
  | { type: 1; f: number }
  | { type: 2; i: number }
  | { type: 6; floats: number[] }
  | { type: 7; ints: number[] }
  | { type: 3; s: Uint8Array }
);

/** A constant: weights (dataType 1, float32) or shapes (7, int64). */
export interface OnnxTensor {
  name: string;
  dims: number[];
  dataType: 1 | 7;
  rawData: Uint8Array;
}

/** A value of the graph; shapes are fixed when the graph is made. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Numbers of an attribute: whole ones become integers, unless they are wrapped in `float`. */
type Attributes = Record<string, number | number[] | string | { float: number }>;

/** Collects the nodes and constants of an ONNX graph. */
export class OnnxGraph {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxTensor[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];

  input(name: string, shape: number[]): Value {
    const value = { name, shape };
    this.inputs.push(value);
    return value;
  }

  output(value: Value): void {
    this.outputs.push(value);
  }

  /** A float32 constant; borrows the tensor. */
  constant(tensor: tf.Tensor): Value {
    const values = (tensor.dataSync() as Float32Array).slice();
    return this.#constant(tensor.shape, 1, new Uint8Array(values.buffer));
  }

  integers(values: readonly number[]): Value {
    return this.#constant([values.length], 7, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  scalar(value: number): Value {
    return this.#constant([], 1, new Uint8Array(Float32Array.of(value).buffer));
  }

  /** Adds a node with one output of `shape`. */
  node(opType: string, inputs: Value[], shape: readonly number[], attributes: Attributes = {}): Value {
    return this.split(opType, inputs, [shape], attributes)[0]!;
  }

  /** Adds a node with an output for each of `shapes`. */
  split(opType: string, inputs: Value[], shapes: (readonly number[])[], attributes: Attributes = {}): Value[] {
    const outputs = shapes.map((shape, i) => ({ name: `${opType}_${this.nodes.length}_${i}`, shape }));
    this.nodes.push({
      opType,
      input: inputs.map(({ name }) => name),
      output: outputs.map(({ name }) => name),
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    });
    return outputs;
  }

  reshape(x: Value, shape: readonly number[]): Value {
    return this.node("Reshape", [x, this.integers(shape)], shape);
  }

  transpose(x: Value, perm: number[]): Value {
    return this.node(
      "Transpose",
      [x],
      perm.map((axis) => x.shape[axis]!),
      { perm },
    );
  }

  add(a: Value, b: Value): Value {
    return this.node("Add", [a, b], a.shape);
  }

  multiply(a: Value, b: Value): Value {
    return this.node("Mul", [a, b], a.shape);
  }

  #constant(dims: readonly number[], dataType: 1 | 7, rawData: Uint8Array): Value {
    const value = { name: `constant_${this.constants.length}`, shape: dims };
    this.constants.push({ name: value.name, dims: [...dims], dataType, rawData });
    return value;
  }
}

function attribute(name: string, value: Attributes[string]): OnnxAttribute {
  if (typeof value === "string") return { name, type: 3, s: new TextEncoder().encode(value) };
  if (typeof value === "number") return { name, type: 2, i: value };
  return Array.isArray(value) ? { name, type: 7, ints: value } : { name, type: 1, f: value.float };
}
