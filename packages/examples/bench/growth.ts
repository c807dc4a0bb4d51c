/**
 * How cost grows: `npm run bench -- growth` measures one forward pass and one training step of the faces' network
 * against batch, resolution and channels. Each point is measured in its own process, so that its memory is that of this
 * size only. `--write` puts the table into docs/benchmarks.md and draws docs/public/growth.svg.
 */
import { writeFileSync } from "node:fs";
import * as Plot from "@observablehq/plot";
import { plotSvg } from "../src/plot-svg.js";
import { packagePath } from "../src/package-folder.js";
import { type Axis, AXES } from "./growth-axes.js";
import { measure } from "./measure.js";
import { machine, markdownTable, writeSection } from "./report.js";

interface Point {
  axis: string;
  size: number;
  pass: string;
  quantity: string;
  value: number;
}

const QUANTITIES = ["time, ms", "tensors, MiB", "wasm, MiB"] as const;

export async function measureGrowth(rounds: number, write: boolean): Promise<void> {
  const points: Point[] = [];
  const rows: string[][] = [];
  for (const [axis, { sizes }] of Object.entries(AXES)) {
    for (const pass of ["forward", "train step"]) {
      let smaller: number[] | undefined;
      for (const [i, size] of sizes.entries()) {
        const values = await costs(`growth ${axis} ${size} ${pass}`, rounds);
        points.push(...values.map((value, i) => ({ axis, size, pass, quantity: QUANTITIES[i]!, value })));
        const powers = values.map((value, k) => powerOf(value, smaller?.[k], size / (sizes[i - 1] ?? NaN)));
        rows.push([axis, size.toString(), pass, ...values.flatMap((value, k) => [value.toFixed(1), powers[k]!])]);
        console.log(rows.at(-1)!.join("  "));
        smaller = values;
      }
    }
  }
  if (!write) return;
  const head = ["axis", "times", "pass", ...QUANTITIES.flatMap((quantity) => [quantity, "power"])];
  const text = `${machine()}, wasm, 1 thread; ${new Date().toISOString().slice(0, 10)}; best of ${rounds}.`;
  writeSection("npm run bench growth", `${text}\n\n${markdownTable(head, rows, [0, 2])}`);
  writeFileSync(packagePath("..", "..", "docs", "public", "growth.svg"), await chart(points));
}

/** One value for each of QUANTITIES, on the wasm backend with one thread. */
async function costs(workload: string, rounds: number): Promise<number[]> {
  const missing = new Set<string>();
  const [result] = await measure(workload, [["wasm", 1]], rounds, undefined, missing);
  if (!result) throw new Error([...missing].join());
  return [result.best, result.peakTensors!, result.wasmMemory];
}

/** The exponent of the size by which a cost grew from the next smaller size; 1 means proportional. */
function powerOf(value: number, smaller: number | undefined, times: number): string {
  return smaller === undefined ? "" : (Math.log(value / smaller) / Math.log(times)).toFixed(2);
}

/** Both axes are logarithmic: a proportional cost has the slope of the grey lines. */
function chart(points: Point[]): Promise<string> {
  const first = points.filter(({ size, pass }) => size === 1 && pass === "forward");
  const proportional = first.flatMap((point) => {
    const { sizes } = AXES[point.axis as Axis];
    return sizes.map((size) => ({ ...point, size, value: point.value * size }));
  });
  const place = { fx: "axis", fy: "quantity", x: "size", y: "value" } as const;
  return plotSvg({
    width: 760,
    height: 620,
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
}
