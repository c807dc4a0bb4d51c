import { describe, expect, it } from "@jest/globals";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { DEFAULTS, fixedNoise, noised, scheduleCurves, schedulerConfig, SCHEDULES, T } from "./schedule.js";

describe("The schedules of the lab", () => {
  it.each(Object.keys(SCHEDULES))("are those of a scheduler with the shown config: %s", (name) => {
    const settings = { ...DEFAULTS, beta_schedule: name as keyof typeof SCHEDULES };
    const { visited, signal, noise } = scheduleCurves(settings);
    const plan = schedulerFromConfig(schedulerConfig(settings)).plan(settings.steps);
    expect(visited).toEqual([...plan.timesteps]);
    signal.forEach((value, t) => expect(value ** 2 + noise[t]! ** 2).toBeCloseTo(1, 12));
  });

  it("end with noise alone where they are rescaled, and with a rest of the picture in Stable Diffusion", () => {
    expect(scheduleCurves(DEFAULTS).signal[T - 1]).toBeCloseTo(0.068265, 6); // Lin et al. 2024, table 1.
    expect(scheduleCurves({ ...DEFAULTS, rescale_betas_zero_snr: true }).signal[T - 1]).toBe(0);
  });
});

it("A picture without noise stays as it is; noise alone has mean 0 and deviation 1", () => {
  const bytes = Uint8ClampedArray.from({ length: 400 }, (_, i) => (i % 4 === 3 ? 255 : (i * 7) % 256));
  expect(noised(bytes, fixedNoise(400), 1, 0)).toEqual(bytes);
  const numbers = [...fixedNoise(40_000)];
  const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  expect(Math.abs(mean)).toBeLessThan(0.015); // 3 / sqrt(40,000)
  expect(Math.abs(numbers.reduce((sum, x) => sum + x * x, 0) / numbers.length - 1)).toBeLessThan(0.022);
});
