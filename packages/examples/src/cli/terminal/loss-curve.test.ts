import { describe, expect, it } from "@jest/globals";
import { lossCurve, parseLog, thinned } from "./loss-curve.js";

const HEADER = "step,loss,gradient_norm,learning_rate,images_per_second";

describe("parseLog", () => {
  it("reads step and loss by the names of their columns", () => {
    expect(parseLog(`${HEADER}\n1,0.5,2,0.1,99\n2,0.25,1,0.1,98\n`)).toEqual([
      { step: 1, loss: 0.5 },
      { step: 2, loss: 0.25 },
    ]);
    expect(parseLog("loss,step\r\n3,7\r\n")).toEqual([{ step: 7, loss: 3 }]);
  });

  it("names the line that is wrong, and refuses a file that is not a log", () => {
    expect(() => parseLog(`${HEADER}\n1,0.5\n2,,\n`)).toThrow("Line 3 of the training log");
    expect(() => parseLog("<html>")).toThrow('not a training log: its first line, "<html>"');
    expect(() => parseLog("")).toThrow(SyntaxError);
  });
});

describe("thinned", () => {
  it("keeps a short log and takes the means of a long one", () => {
    const rows = Array.from({ length: 1000 }, (_, i) => ({ step: i + 1, loss: i }));
    expect(thinned(rows.slice(0, 10), 10)).toEqual(rows.slice(0, 10));
    expect(thinned(rows, 100)).toHaveLength(100);
    expect(thinned(rows, 100)[0]).toEqual({ step: 5.5, loss: 4.5 });
  });
});

describe("lossCurve", () => {
  it("draws one SVG with the caption, dots that fall with the loss, and a line", async () => {
    const rows = Array.from({ length: 500 }, (_, i) => ({ step: i + 1, loss: 10 / (i + 1) }));
    const svg = await lossCurve(rows, "Faces <UNet>");
    expect(svg).toMatch(/^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    expect(svg).toContain("Faces &lt;UNet&gt;");
    const heights = [...svg.matchAll(/<circle [^>]*cy="([\d.]+)"/g)].map(([, y]) => Number(y));
    expect(heights).toHaveLength(500);
    // y grows downwards.
    expect(heights.every((y, i) => i === 0 || y > heights[i - 1]!)).toBe(true);
    expect(svg.match(/<path [^>]*d="M/g)!.length).toBeGreaterThan(0);
  });

  it("refuses an empty log", async () => {
    await expect(lossCurve([], "")).rejects.toThrow("The training log has no steps");
  });
});
