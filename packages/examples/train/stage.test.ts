import { describe, expect, it } from "@jest/globals";
import { warmupCosine } from "@tfjs-diffusion/core/training";
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
