import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import * as schedulers from "@tfjs-diffusion/schedulers";
import { SAMPLER_CLASSES } from "../src/cli/options/samplers.js";
import { SAMPLERS } from "./samplers-table.js";

const root = new URL("../../../", import.meta.url);
const { DEFAULT_TRAITS, schedulerClasses, schedulerNames } = schedulers;

describe("Every sampler", () => {
  it("is in the table of the benchmark, and nothing else is", () => {
    expect(new Set(SAMPLERS.map(({ className }) => className))).toEqual(new Set(schedulerNames));
  });

  it.each(["docs/samplers.md", "packages/schedulers/README.md"])("has its row in %s", (file) => {
    const lines = readFileSync(new URL(file, root), "utf8").split("\n");
    const [first, last] = ["<!-- npm run samplers -->", "<!-- end -->"].map((mark) => lines.indexOf(mark));
    const labels = lines.slice(first! + 4, last! - 1).map((line) => line.split("|")[1]!.trim());
    expect(labels).toEqual(SAMPLERS.map(({ label }) => label));
  });

  it("is exported by the package under its own name", () => {
    for (const name of schedulerNames) {
      expect(schedulers[name as keyof typeof schedulers]).toBe(schedulerClasses[name]);
    }
    const exported = Object.keys(schedulers).filter((name) => /Scheduler$/.test(name));
    const abstract = ["BaseScheduler", "SigmaScheduler", "SolverScheduler", "TrainedScheduler"];
    expect(exported.filter((name) => !abstract.includes(name)).sort()).toEqual([...schedulerNames].sort());
  });

  it("that draws from noise with networks such as Stable Diffusion has a name on the command line", () => {
    const drawing = schedulerNames.filter((name) => {
      const { network, notFromNoise } = schedulerClasses[name]!.traits ?? DEFAULT_TRAITS;
      return ["timestep", "distilled"].includes(network) && notFromNoise === undefined;
    });
    expect([...SAMPLER_CLASSES.values()]).toEqual(drawing);
    expect(drawing).toHaveLength(17);
    expect(drawing).not.toContain("DDIMInverseScheduler");
  });
});
