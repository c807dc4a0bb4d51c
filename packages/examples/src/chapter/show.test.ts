import { beforeEach, describe, expect, it } from "@jest/globals";
import * as Plot from "@observablehq/plot";
import * as tf from "@tensorflow/tfjs";
import { decodePng, useBackend } from "@tfjs-diffusion/core";
import { ChapterError } from "./errors.js";
import type { Output } from "./output.js";
import { image, plot, show, table } from "./show.js";
import { redirectOutput } from "./sink.js";

let shown: Output[];
beforeEach(async () => {
  await useBackend("cpu");
  shown = [];
  redirectOutput((output) => shown.push(output));
});

describe("show", () => {
  it("formats as console.log does", () => {
    show("sum %d", 4, [1, 2]);
    expect(shown).toEqual([{ kind: "text", text: "sum 4 [ 1, 2 ]" }]);
  });
});

describe("table", () => {
  it("rounds numbers to significant digits and leaves words alone", () => {
    table([{ t: 10, share: 0.123456, name: "x" }], { caption: "Shares", digits: 3 });
    expect(shown).toEqual([
      { kind: "table", columns: ["t", "share", "name"], rows: [["10", "0.123", "x"]], caption: "Shares" },
    ]);
  });

  it("refuses to show nothing", () => {
    expect(() => table([], { caption: "Nothing" })).toThrow(ChapterError);
  });
});

describe("plot", () => {
  const line = () =>
    plot({
      caption: "A line",
      marks: [
        Plot.line([
          [0, 1],
          [1, 2],
        ]),
      ],
    });

  it("draws a stand-alone SVG, the same one each time", () => {
    line();
    line();
    const [first, second] = shown as Extract<Output, { kind: "plot" }>[];
    expect(first!.svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(first!.svg).toContain("<path");
    expect(second).toEqual(first);
  });

  it("draws a second one for telephones, with letters that can be read", () => {
    line();
    const [{ svg, narrow }] = shown as [Extract<Output, { kind: "plot" }>];
    expect([svg, narrow].map((text) => /width="(\d+)"/.exec(text)![1])).toEqual(["680", "312"]);
    expect([svg, narrow].map((text) => /font-size:(\d+)px/.exec(text)![1])).toEqual(["13", "12"]);
  });

  it("refuses a legend, which would be lost", () => {
    const dots = Plot.dot([{ x: 1, y: 1, name: "a" }], { x: "x", y: "y", fill: "name" });
    expect(() => plot({ caption: "Dots", color: { legend: true }, marks: [dots] })).toThrow(ChapterError);
  });
});

describe("image", () => {
  it("lays pictures side by side, enlarges their pixels and clips what is out of range", async () => {
    const pictures = tf.tensor4d([-1, -1, -1, 3, 3, 3], [2, 1, 1, 3]);
    const before = tf.memory().numTensors;
    await image(pictures, { caption: "Black and white", scale: 3 });
    expect(tf.memory().numTensors).toBe(before);
    const [output] = shown as Extract<Output, { kind: "image" }>[];
    const decoded = await decodePng(output!.png);
    expect(decoded.shape).toEqual([9, 15, 3]); // A white pixel around each, everything three times as large.
    const middle = Array.from(await decoded.slice([4, 0, 0], [1, -1, 1]).data());
    expect(middle).toEqual([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
  });
});
