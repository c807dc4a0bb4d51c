import { beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { type NoiseSource, type Plan, type State, keyedNoise } from "@tfjs-diffusion/schedulers";
import { useBackend } from "../../backend/use-backend.js";
import type { PipelineStep } from "../pipeline-step.js";
import { sample } from "./sampling.js";

/**
 * A plan whose steps add the network's output. Like a multistep method it keeps outputs: each state holds the newest
 * output and the one before it, so a tensor can be in two states.
 */
const plan = {
  timesteps: [30, 20, 10],
  levels: [{}, {}, {}],
  stepStarts: [0, 1, 2],
  start: (noise: tf.Tensor) => ({ x: noise.mul(2), history: [] }),
  scaleInput: (x: tf.Tensor, i: number) => x.mul(i + 1),
  step: ({ x, history }: { x: tf.Tensor; history: tf.Tensor[] }, output: tf.Tensor) => ({
    x: x.add(output),
    history: [output.clone(), ...history.slice(0, 1)],
  }),
} as unknown as Plan;

describe("The sampling loop", () => {
  beforeAll(async () => {
    await useBackend("cpu");
  });
  let asked: { input: number; timestep: number }[];
  let noise: NoiseSource;
  beforeEach(() => {
    asked = [];
    noise = keyedNoise(0);
  });

  const denoise = (input: tf.Tensor4D, timestep: number) => {
    asked.push({ input: input.dataSync()[0]!, timestep });
    return tf.onesLike(input);
  };
  const start = (): State => plan.start(tf.ones([1, 2, 2, 1]));
  const walk = (options: { plan?: Plan; first?: number; end?: number; signal?: AbortSignal } = {}) =>
    sample({ scheduler, plan, start, denoise, noise, preview, ...options });
  const scheduler = { config: { _class_name: "Own" }, predictX0: (output: tf.Tensor, x: tf.Tensor) => x.sub(output) };
  const preview = (x: tf.Tensor4D) => x.tile<tf.Tensor4D>([1, 1, 1, 3]);
  const tensors = () => tf.memory().numTensors;

  it("calls the network at every timestep of the plan, with its input scaled by the plan", async () => {
    const seen: [number, number, number, number][] = [];
    for await (const { index, total, timestep, latents } of walk())
      seen.push([index, total, timestep, latents.dataSync()[0]!]);
    expect(asked).toEqual([
      { input: 2, timestep: 30 },
      { input: 6, timestep: 20 },
      { input: 12, timestep: 10 },
    ]);
    expect(seen).toEqual([
      [0, 3, 30, 3],
      [1, 3, 20, 4],
      [2, 3, 10, 5],
    ]);
  });

  it("starts in the middle of the plan if `first` is above 0", async () => {
    for await (const _ of walk({ first: 2 }));
    expect(asked).toEqual([{ input: 6, timestep: 10 }]);
  });

  it("counts the steps of a sampler that makes two calls a step", async () => {
    const heun = { ...plan, stepStarts: [0, 2] };
    const counts = async (window: { first?: number; end?: number }) => {
      const seen: string[] = [];
      for await (const { index, total, step, steps } of walk({ plan: heun, ...window })) {
        seen.push(`${index}/${total} ${step}/${steps}`);
      }
      return seen;
    };
    expect(await counts({})).toEqual(["0/3 0/2", "1/3 0/2", "2/3 1/2"]);
    expect(await counts({ first: 2 })).toEqual(["0/1 0/1"]);
    expect(await counts({ end: 2 })).toEqual(["0/2 0/1", "1/2 0/1"]);
  });

  it("yields the network's output, and the clean sample that it implies", async () => {
    const seen: number[][] = [];
    const numbers = (...all: tf.Tensor[]) => all.map((x) => x.dataSync()[0]!);
    for await (const { latents, output, x0 } of walk()) seen.push(numbers(latents, output, x0));
    expect(seen).toEqual([
      [3, 1, 1],
      [4, 1, 2],
      [5, 1, 3],
    ]);
  });

  it("computes the clean sample when it is first read, keeps it until the next step, and frees it then", async () => {
    const before = tensors();
    const steps = walk();
    const { value: step } = (await steps.next()) as { value: PipelineStep };
    const unread = tensors();
    let x0!: tf.Tensor;
    tf.tidy(() => {
      x0 = step.x0; // A tidy frees what was made in it and is not returned.
    });
    expect(x0.isDisposed).toBe(false);
    expect(tensors()).toBe(unread + 1);
    expect(step.x0).toBe(x0);
    await steps.next();
    expect([x0.isDisposed, step.output.isDisposed]).toEqual([true, true]);
    expect(() => step.x0).toThrow("this step has ended");
    await steps.return();
    expect(tensors()).toBe(before);
  });

  it("holds one state and the tensors of the step between steps, and nothing at its end", async () => {
    const before = tensors();
    const held: number[] = [];
    for await (const _ of walk()) held.push(tensors() - before);
    // The state has x and one output, then x and two; the step has its output and the x it began with.
    expect(held).toEqual([4, 5, 5]);
    expect(tensors()).toBe(before);
  });

  it("frees everything when the caller leaves early", async () => {
    const before = tensors();
    for await (const { index } of walk()) if (index === 1) break;
    expect(tensors()).toBe(before);
    expect(asked).toHaveLength(2);
  });

  it("frees everything when the caller or the network throws", async () => {
    const before = tensors();
    const throwing = async () => {
      for await (const _ of walk()) throw new Error("mine");
    };
    await expect(throwing()).rejects.toThrow("mine");
    const failing = sample({
      scheduler,
      preview,
      plan,
      start,
      noise,
      denoise: (input) => (tf.neg(input), raise("network")),
    });
    await expect(failing.next()).rejects.toThrow("network");
    expect(tensors()).toBe(before);
  });

  it("ends between two steps when it is aborted, with the reason", async () => {
    const before = tensors();
    const abort = new AbortController();
    const aborted = async () => {
      for await (const { index } of walk({ signal: abort.signal })) if (index === 0) abort.abort(new Error("enough"));
    };
    await expect(aborted()).rejects.toThrow("enough");
    expect(asked.length).toBeLessThan(3);
    expect(tensors()).toBe(before);
    await expect(walk({ signal: abort.signal }).next()).rejects.toThrow("enough");
    expect(tensors()).toBe(before);
  });

  it("lets timers run between steps", async () => {
    let ran = 0;
    const timer = setInterval(() => ran++, 0);
    for await (const _ of walk()) {
      const due = performance.now() + 3; // At least as long as a step of a real network, so that the timer is due.
      while (performance.now() < due);
    }
    clearInterval(timer);
    expect(ran).toBeGreaterThan(0);
  });
});

function raise(message: string): never {
  throw new Error(message);
}
