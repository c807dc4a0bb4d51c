import { createRequire } from "node:module";
import { benchFolder } from "../packages.js";
import type { OnnxGraph, Value } from "./graph.js";

/** The part of onnx.proto (IR version 8 and later) that our graphs use, with its field numbers. */
const SCHEMA = `
syntax = "proto3";
message AttributeProto { string name = 1; float f = 2; int64 i = 3; bytes s = 4; repeated float floats = 7; repeated int64 ints = 8; int32 type = 20; }
message NodeProto { repeated string input = 1; repeated string output = 2; string opType = 4; repeated AttributeProto attribute = 5; }
message TensorProto { repeated int64 dims = 1; int32 dataType = 2; string name = 8; bytes rawData = 9; }
message Dimension { oneof value { int64 dimValue = 1; } }
message TensorShapeProto { repeated Dimension dim = 1; }
message TensorTypeProto { int32 elemType = 1; TensorShapeProto shape = 2; }
message TypeProto { oneof value { TensorTypeProto tensorType = 1; } }
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message GraphProto {
  repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message ModelProto { int64 irVersion = 1; string producerName = 2; GraphProto graph = 7; repeated OperatorSetIdProto opsetImport = 8; }
`;

/** What we use of protobufjs, which the benchmark alone installs. */
interface Protobuf {
  parse(schema: string): { root: { lookupType(name: string): { encode(message: object): { finish(): Uint8Array } } } };
}

/** Opset 20 is the first with Gelu. */
const OPSET = 20;

/** The graph as the bytes of an ONNX file. */
export function encodeOnnx(graph: OnnxGraph): Uint8Array {
  const protobuf = createRequire(benchFolder)("protobufjs") as Protobuf;
  const type = protobuf.parse(SCHEMA).root.lookupType("ModelProto");
  const described = ({ name, shape }: Value) => ({
    name,
    type: { tensorType: { elemType: 1, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
  });
  const message = {
    irVersion: 9,
    producerName: "tfjs-diffusion",
    opsetImport: [{ domain: "", version: OPSET }],
    graph: {
      name: "graph",
      node: graph.nodes,
      initializer: graph.constants,
      input: graph.inputs.map(described),
      output: graph.outputs.map(described),
    },
  };
  return type.encode(message).finish();
}
