/**
 * How cost grows: `npm run bench -- growth` measures one forward pass and one training step of the faces' network against
 * batch, resolution and channels, and draws docs/public/growth.svg. Each point is a process of its own, for its peak memory.
 */
import { writeFileSync } from "node:fs";
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { packagePath } from "../src/package-folder.js";
import { type Axis, AXES } from "./growth-axes.js";
import { measure } from "./measure.js";

interface Point {
  axis: string;
  size: number;
  pass: string;
  quantity: string;
  value: number;
}

export async function measureGrowth(rounds: number): Promise<void> {
  const points: Point[] = [];
  for (const [axis, { sizes }] of Object.entries(AXES)) {
    for (const size of sizes) {
      for (const pass of ["forward", "train step"]) {
        const missing = new Set<string>();
        const [result] = await measure(`growth ${axis} ${size} ${pass}`, [["wasm", 1]], rounds, undefined, missing);
        if (!result) throw new Error([...missing].join());
        const { best, peakMemory } = result;
        console.log(`${axis} x ${size}, ${pass}: ${best.toFixed(1)} ms, ${peakMemory.toFixed(0)} MiB`);
        points.push({ axis, size, pass, quantity: "time, ms", value: best });
        points.push({ axis, size, pass, quantity: "memory, MiB", value: peakMemory });
      }
    }
  }
  writeFileSync(packagePath("..", "..", "docs", "public", "growth.svg"), chart(points));
}

/** Both axes logarithmic: what grows in proportion has the slope of the grey lines. */
function chart(points: Point[]): string {
  const { document } = parseHTML("<!doctype html>");
  const first = points.filter(({ size, pass }) => size === 1 && pass === "forward");
  const proportional = first.flatMap((point) => {
    const { sizes } = AXES[point.axis as Axis];
    return sizes.map((size) => ({ ...point, size, value: point.value * size }));
  });
  const place = { fx: "axis", fy: "quantity", x: "size", y: "value" } as const;
  const figure = Plot.plot({
    document: document,
    width: 760,
    height: 480,
    grid: true,
    marginLeft: 50,
    marginRight: 90,
    style: { background: "white", color: "#333" },
    x: { type: "log", base: 2, label: "times the smallest", tickFormat: "d" },
    y: { type: "log", label: null, tickFormat: "~s" },
    fx: { label: null },
    fy: { label: null },
    marks: [
      Plot.line(proportional, { ...place, stroke: "#ddd", strokeWidth: 4 }),
      Plot.line(points, { ...place, z: "pass", stroke: "pass" }),
      Plot.dot(points, { ...place, fill: "pass", r: 2.5 }),
      Plot.text(
        points,
        Plot.selectLast({ ...place, z: "pass", text: "pass", textAnchor: "end", dy: -8, fill: "pass" }),
      ),
    ],
  });
  figure.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return figure.outerHTML;
}
