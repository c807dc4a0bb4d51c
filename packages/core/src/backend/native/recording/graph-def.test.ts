import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { NotRecordableError } from "../../program.js";
import { type Node, partAfter, savedModel, type Source } from "./graph-def.js";
import { Message } from "./protobuf.js";
import type { Binding } from "../binding.js";

const hex = (message: Message) => Buffer.from(message.encoded()).toString("hex");

describe("Protocol Buffers", () => {
  it("are written as the encoding's own page writes them", () => {
    // https://protobuf.dev/programming-guides/encoding/: Test1 {a: 150}, Test2 {b: "testing"}, Test3 {c {a: 150}}
    expect(hex(new Message().integer(1, 150))).toBe("089601");
    expect(hex(new Message().bytes(2, "testing"))).toBe("120774657374696e67");
    expect(hex(new Message().bytes(3, new Message().integer(1, 150)))).toBe("1a03089601");
  });

  it("hold booleans, float32, negative and 64-bit numbers, and field numbers above 15", () => {
    expect(hex(new Message().integer(1, true).integer(2, false))).toBe("08011000");
    expect(hex(new Message().float(4, 0.5))).toBe("250000003f");
    expect(hex(new Message().integer(1, -2))).toBe("08feffffffffffffffff01");
    expect(hex(new Message().integer(1, 2 ** 40))).toBe("08808080808020");
    expect(hex(new Message().bytes(16, ""))).toBe("820100");
  });
});

const FLOAT = 1;
const binding = {
  TF_FLOAT: FLOAT,
  TF_INT32: 3,
  TF_ATTR_STRING: 0,
  TF_ATTR_INT: 1,
  TF_ATTR_FLOAT: 2,
  TF_ATTR_BOOL: 3,
  TF_ATTR_TYPE: 4,
} as Binding;

const placeholder = (): Node => ({ kind: "placeholder", type: FLOAT, shape: [] });
const operation = (name: string, inputs: Node[], after: Node[] = []): Node => ({
  kind: "operation",
  name,
  attributes: [],
  inputs: inputs.map(first),
  after,
  types: [FLOAT],
  shapes: [[]],
});
const first = (node: Node): Source => ({ node, output: 0 });

/** Computes sources by hand: an operation sums its inputs and adds one. */
function evaluate(sources: readonly Source[], given: ReadonlyMap<Node, number>): number[] {
  const known = new Map(given);
  const valueOf = (node: Node): number => {
    const value =
      known.get(node) ??
      (node.kind === "operation" ? node.inputs.reduce((sum, input) => sum + valueOf(input.node), 1) : NaN);
    known.set(node, value);
    return value;
  };
  return sources.map(({ node }) => valueOf(node));
}

describe("A computation that is cut in two", () => {
  it("gives the same when its second part reads what the first one made", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 40 }),
        fc.nat(),
        (reads, where) => {
          const nodes = [placeholder(), placeholder()];
          for (const read of reads)
            nodes.push(
              operation(
                "Sum",
                read.map((i) => nodes[i % nodes.length]!),
              ),
            );
          const inputs = new Map([
            [nodes[0]!, 3],
            [nodes[1]!, 5],
          ]);
          const before = new Set(nodes.slice(2, 3 + (where % reads.length)));
          const results = nodes.slice(-3).map(first);
          const after = partAfter(results, before);
          const between = evaluate(after.given, inputs);
          const given = new Map([...inputs, ...after.placeholders.map((node, i) => [node, between[i]!] as const)]);
          expect(evaluate(after.results, given)).toEqual(evaluate(results, inputs));
          for (const { node } of after.given) expect(before.has(node)).toBe(true);
        },
      ),
    );
  });

  it("keeps an order that is asked for within a part, and drops it across", () => {
    const [early, x] = [operation("A", [placeholder()]), placeholder()];
    const one = operation("B", [x], [early]);
    const two = operation("C", [x], [one]);
    const { results, given } = partAfter([first(two), first(one)], new Set([early]));
    const [copyOfTwo, copyOfOne] = results.map(({ node }) => node as Node & { kind: "operation" });
    expect(copyOfTwo!.after).toEqual([copyOfOne]);
    expect(copyOfOne!.after).toEqual([]);
    expect(given).toEqual([]);
  });
});

describe("A saved model", () => {
  it("holds what its results need and nothing else, in an order that can be read from the front", () => {
    const [x, unused, seven] = [
      placeholder(),
      placeholder(),
      { kind: "constant", type: FLOAT, shape: [], bytes: new Uint8Array(4) } as Node,
    ];
    const one = operation("Sum", [x, seven]);
    operation("Idle", [unused]);
    const { bytes, placeholders, results } = savedModel(binding, [unused, x], [first(one), first(one), first(x)]);
    const text = Buffer.from(bytes).toString("latin1");
    expect(text).not.toContain("Idle");
    expect([...placeholders]).toEqual([[1, "n1:0"]]);
    // One result asked for twice, and an input asked for, are tensors of their own.
    expect(results).toEqual(["r0:0", "r1:0", "r2:0"]);
    const positions = ["Const", "Placeholder", "Sum", "Identity"].map((name) => text.indexOf(name));
    expect(positions.every((at, i) => at > (positions[i - 1] ?? 0))).toBe(true);
  });

  it("walks chains of operations that are longer than the stack is deep", () => {
    let node = placeholder();
    for (let i = 0; i < 50_000; i++) node = operation("Sum", [node]);
    expect(partAfter([first(node)], new Set()).results).toHaveLength(1);
  });

  it("refuses attributes that it cannot write", () => {
    const shaped = {
      ...operation("Odd", [placeholder()]),
      attributes: [{ name: "shape", type: 5, value: [1, 2] }],
    } as Node;
    expect(() => savedModel(binding, [], [first(shaped)])).toThrow(NotRecordableError);
  });
});
