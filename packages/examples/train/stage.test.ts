import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { train, warmupCosine } from "@tfjs-diffusion/core/training";
import { type StageSettings, stageTraining } from "./stage.js";

const STAGE: StageSettings = {
  steps: 40,
  batchSize: 1,
  learningRate: 0.1,
  warmupSteps: 4,
  weightDecay: 0,
  beta2: 0.99,
  gradientClip: 1,
  emaDecay: 0.9,
  checkpointEvery: 10,
};
const rates = (stage: Partial<StageSettings>) => {
  const { schedule, steps } = stageTraining(0, { ...STAGE, ...stage });
  return Array.from({ length: steps }, (_, i) => schedule(i + 1));
};
const cosine = (totalSteps: number) => {
  const rate = warmupCosine({ learningRate: 0.1, warmupSteps: 4, totalSteps });
  return Array.from({ length: totalSteps }, (_, i) => rate(i + 1));
};

describe("The learning rate of a stage", () => {
  it("falls to zero at the last step, or less if the plan is longer", () => {
    expect(rates({})).toEqual(cosine(40));
    expect(rates({ plannedSteps: 90 })).toEqual(cosine(90).slice(0, 40));
  });

  it("follows a longer plan from the step at which it was changed", () => {
    const longer = rates({ plannedSteps: { 0: 20, 20: 50, 30: 60 } });
    expect(longer).toEqual([...cosine(20), ...cosine(50).slice(20, 30), ...cosine(60).slice(30, 40)]);
    expect(longer[20]).toBeGreaterThan(longer[19]!);
  });
});

describe("A stage that was trained", () => {
  let folder: string;
  beforeAll(async () => {
    await useBackend("cpu");
    folder = await mkdtemp(join(tmpdir(), "stage "));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Trains one number, with the files and settings of the example scripts; returns the steps that it made. */
  async function trained(name: string, changes: Partial<StageSettings>): Promise<number[]> {
    const stage = { ...STAGE, ...changes };
    const weight = tf.tidy(() => tf.variable(tf.scalar(1)));
    const steps: number[] = [];
    try {
      const run = train({
        ...stageTraining(0, stage),
        parameters: new Map([["weight", weight]]),
        loss: () => weight.square().mul<tf.Scalar>(1),
        checkpoint: { to: join(folder, name), every: stage.checkpointEvery, settings: { ...stage } as never },
      });
      for await (const { step } of run) steps.push(step);
    } finally {
      weight.dispose();
    }
    return steps;
  }

  it.each<[string, Partial<StageSettings>, Partial<StageSettings>]>([
    ["follows the longer cosine", {}, {}],
    ["has its rates already, if the plan was longer", { plannedSteps: 90 }, { plannedSteps: 90 }],
    ["has a turn of its own", { plannedSteps: { 0: 40 } }, { plannedSteps: { 0: 40 } }],
  ])("goes on with one step more, which %s", async (name, before, after) => {
    expect(await trained(name, before)).toHaveLength(40);
    const more = trained(name, { ...after, steps: 41 });
    expect(await more).toEqual([41]);
  });

  it("is refused with other settings, and the message names the one that changed, once", async () => {
    await trained("refused", {});
    const refusal = (changes: Partial<StageSettings>) =>
      trained("refused", changes).then(
        () => "none",
        (error: Error) => /other settings \((.*)\)\. It was/.exec(error.message)?.[1],
      );
    expect(await refusal({ steps: 39 })).toBe("steps: was 40, now 39; a run can be made longer, not shorter");
    expect(await refusal({ batchSize: 2, steps: 41 })).toBe("batchSize: was 1, now 2");
    expect(await refusal({ learningRate: 0.2 })).toBe("schedule.learningRate: was 0.1, now 0.2");
  });
});
