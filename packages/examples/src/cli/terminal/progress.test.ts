import { PassThrough } from "node:stream";
import { describe, expect, it } from "@jest/globals";
import type { TrainingStep } from "@tfjs-diffusion/core/training";
import { withProgress } from "./progress.js";

async function* makeSteps(first: number, last: number, fail?: Error): AsyncGenerator<TrainingStep> {
  for (let step = first; step <= last; step++) {
    yield {
      step,
      loss: 2 / step,
      gradientNorm: 1,
      learningRate: 1,
      imagesPerSecond: 123,
      withEma: async (body) => body(),
    };
  }
  if (fail) throw fail;
}

function makeTerminal() {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 120, rows: 20 });
  const written: Buffer[] = [];
  stream.on("data", (data: Buffer) => written.push(data));
  return { stream, text: () => Buffer.concat(written).toString() };
}

describe("withProgress", () => {
  it("passes every step on and shows the last one with loss and speed", async () => {
    const { stream, text } = makeTerminal();
    const seen: number[] = [];
    for await (const { step } of withProgress(makeSteps(1, 5), { label: "UNet", total: 5, stream })) seen.push(step);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(text()).toMatch(/UNet .* 5\/5 \| loss 1\.894 \| 123 pictures\/s/);
  });

  it("starts a resumed run where it stopped", async () => {
    const { stream, text } = makeTerminal();
    for await (const _ of withProgress(makeSteps(91, 92), { label: "UNet", total: 100, stream }));
    expect(text()).toContain("90/100");
    expect(text()).toContain("92/100");
  });

  it("restores the terminal after an exception or an early stop, and shows nothing without steps", async () => {
    const { stream, text } = makeTerminal();
    const failing = async () => {
      for await (const _ of withProgress(makeSteps(1, 2, new Error("no more data")), { label: "A", total: 9, stream }));
    };
    await expect(failing()).rejects.toThrow("no more data");
    for await (const _ of withProgress(makeSteps(1, 9), { label: "B", total: 9, stream })) break;
    const showsCursor = "\u001b[?25h";
    expect(text().split(showsCursor)).toHaveLength(3);
    const empty = makeTerminal();
    for await (const _ of withProgress(makeSteps(1, 0), { label: "C", total: 0, stream: empty.stream }));
    expect(empty.text()).toBe("");
  });
});
