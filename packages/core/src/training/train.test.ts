import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { checkpointFile, type CheckpointStore } from "./checkpoint-file.js";
import {
  CheckpointMismatchError,
  CheckpointWriteError,
  DamagedCheckpointError,
  NonFiniteError,
  TrainingInterruptedError,
  TrainingLockedError,
} from "./errors.js";
import { warmupCosine } from "./learning-rate.js";
import { TinyTraining } from "./testing/tiny-training.js";
import type { TrainingStep, TrainOptions } from "./train-options.js";
import { WeightsReadError } from "../weights/errors.js";
import { temporaryName } from "../platform/leftovers.js";
import { train } from "./train.js";

let folder: string;
let file: string;
let tiny: TinyTraining;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "train-"));
  file = join(folder, "run", "checkpoint.safetensors");
  tiny = new TinyTraining();
});
afterEach(() => {
  tiny.dispose();
  rmSync(folder, { recursive: true });
});

/** Trains to the end, or stops after `stopAfter` steps, like a process that ends there. */
async function run(training: TinyTraining, changes: Partial<TrainOptions> = {}, stopAfter = Infinity) {
  const steps: TrainingStep[] = [];
  for await (const step of train(training.options(changes))) {
    steps.push(step);
    if (step.step === stopAfter) break;
  }
  return steps;
}

/** Runs `body` with a fresh copy of the training, as in another process. */
async function elsewhere<T>(body: (training: TinyTraining) => Promise<T>): Promise<T> {
  const copy = new TinyTraining();
  try {
    return await body(copy);
  } finally {
    copy.dispose();
  }
}

describe("train", () => {
  it("learns: the loss falls by a factor of five", async () => {
    const steps = await run(tiny, { steps: 300 });
    const mean = (part: TrainingStep[]) => part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    expect(mean(steps.slice(-20))).toBeLessThan(mean(steps.slice(0, 20)) / 5);
  });

  it("yields step, loss, gradient norm, learning rate and speed of every step, counted from 1", async () => {
    const steps = await run(tiny, { steps: 3 });
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3]);
    expect(steps[1]!.learningRate).toBe(0.02 / Math.sqrt(2));
    for (const { loss, gradientNorm, imagesPerSecond } of steps) {
      expect(loss).toBeGreaterThan(0);
      expect(gradientNorm).toBeGreaterThan(0);
      expect(imagesPerSecond).toBeGreaterThan(0);
    }
  });

  it("draws the same numbers for the same seed, 0 included, and others for another", async () => {
    const losses = (seed: number) =>
      elsewhere(async (copy) => (await run(copy, { seed, steps: 3 })).map(({ loss }) => loss));
    expect(await losses(0)).toEqual(await losses(0));
    expect(await losses(1)).not.toEqual(await losses(0));
  });

  it("averages the gradients of accumulated batches: 2 x 8 samples give the same step as 1 x 16", async () => {
    const quiet = { ...keyedNoise(0), normal: (shape: number[]) => tf.zeros(shape) };
    const half = (firstSample: number) => tiny.loss({ step: 1, firstSample, noise: quiet });
    const both: TrainOptions["loss"] = ({ firstSample }) =>
      half(firstSample)
        .add(half(firstSample + 8))
        .div(2);
    const start = tiny.values();
    const [whole] = await run(tiny, { steps: 1, batchSize: 16, loss: both });
    const expected = tiny.values();

    tf.tidy(() => tiny.parameters.forEach((p, name) => p.assign(tf.tensor(start[name]!, p.shape))));
    const [parts] = await run(tiny, {
      steps: 1,
      batchSize: 8,
      accumulate: 2,
      loss: ({ firstSample }) => half(firstSample),
    });
    expect(parts!.loss).toBeCloseTo(whole!.loss, 6);
    expect(parts!.gradientNorm).toBeCloseTo(whole!.gradientNorm, 5);
    for (const [name, values] of Object.entries(tiny.values())) {
      values.forEach((value, k) => expect(value).toBeCloseTo(expected[name]![k]!, 5));
    }
  });

  it("gives access to the averaged weights after a step", async () => {
    for await (const { step, withEma } of train(tiny.options({ steps: 5 }))) {
      const own = tiny.values();
      const averaged = await withEma(() => tiny.values());
      if (step === 5) expect(averaged).not.toEqual(own);
      expect(tiny.values()).toEqual(own);
    }
  });

  it("lets timers run between steps, so that Ctrl-C works", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await run(tiny, { steps: 100 });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(2);
  });
});

describe("train with a checkpoint", () => {
  const checkpoint = () => ({ to: file, every: 3 });

  it("continues bit for bit after any stop: weights, averages, moments, losses", async () => {
    const whole = await elsewhere(async (copy) => {
      const steps = await run(copy, { checkpoint: { ...checkpoint(), to: join(folder, "whole") } });
      return { losses: steps.map(({ loss, gradientNorm }) => [loss, gradientNorm]), values: copy.values() };
    });
    const resumed = new Map<number, number[]>();
    for (const stopAfter of [1, 4, 5, 13, Infinity]) {
      await elsewhere(async (copy) => {
        const steps = await run(copy, { checkpoint: checkpoint() }, stopAfter);
        for (const { step, loss, gradientNorm } of steps) resumed.set(step, [loss, gradientNorm]);
        if (stopAfter === Infinity) expect(copy.values()).toEqual(whole.values);
      });
    }
    expect([...resumed.values()]).toEqual(whole.losses);
    expect(readFileSync(file).equals(readFileSync(join(folder, "whole")))).toBe(true);
  });

  it("calls onCheckpoint at each checkpoint, and again when a finished run is started again", async () => {
    const reached: number[] = [];
    const onCheckpoint: TrainOptions["onCheckpoint"] = ({ step }) => void reached.push(step);
    await run(tiny, { steps: 7, checkpoint: checkpoint(), onCheckpoint });
    expect(reached).toEqual([3, 6, 7]);
    expect(await run(tiny, { steps: 7, checkpoint: checkpoint(), onCheckpoint })).toEqual([]);
    expect(reached).toEqual([3, 6, 7, 7]);
  });

  it("saves and says so when a signal stops it, and continues from there", async () => {
    const controller = new AbortController();
    const steps: number[] = [];
    const interrupted = async () => {
      for await (const { step } of train(tiny.options({ checkpoint: checkpoint(), signal: controller.signal }))) {
        steps.push(step);
        if (step === 4) controller.abort();
      }
    };
    await expect(interrupted()).rejects.toThrow(TrainingInterruptedError);
    expect(steps).toEqual([1, 2, 3, 4]);
    expect((await run(tiny, { checkpoint: checkpoint() })).map(({ step }) => step)[0]).toBe(5);
  });

  it("refuses a checkpoint with other settings, names the differences, and does not change it", async () => {
    await run(tiny, { checkpoint: { ...checkpoint(), settings: { data: "faces", sizes: [8, 16] } } });
    const bytes = readFileSync(file);
    const again = (changes: Partial<TrainOptions>, settings = { data: "faces", sizes: [8, 16] }) =>
      run(tiny, { checkpoint: { ...checkpoint(), settings }, ...changes });
    await expect(again({ seed: 6 })).rejects.toThrow(CheckpointMismatchError);
    await expect(again({ seed: 6 })).rejects.toThrow("seed: was 5, now 6");
    await expect(again({ optimizer: { beta2: 0.99 } })).rejects.toThrow("optimizer.beta2: was 0.999, now 0.99");
    await expect(again({ schedule: 0.1 })).rejects.toThrow("(schedule: the learning rate of step 1 was 0.02, now 0.1)");
    await expect(again({}, { data: "faces", sizes: [8, 32] })).rejects.toThrow(
      "settings.sizes: was [8,16], now [8,32]",
    );
    tiny.parameters.delete("in.bias");
    await expect(again({})).rejects.toThrow("parameters.in.bias: was [24], now null");
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it.each<[string, Partial<TrainOptions>]>([
    ["constant", { schedule: 0.01 }],
    ["the same function", {}],
  ])("goes on with more steps, as if there had always been so many; the learning rate is %s", async (_, options) => {
    const whole = (await run(tiny, { ...options, steps: 9 })).map(({ loss }) => loss);
    const values = tiny.values();
    tiny.dispose();
    tiny = new TinyTraining();
    await run(tiny, { ...options, steps: 6, checkpoint: checkpoint() });
    const rest = await run(tiny, { ...options, steps: 9, checkpoint: checkpoint() });
    expect(rest.map(({ loss }) => loss)).toEqual(whole.slice(6));
    expect(tiny.values()).toEqual(values);
  });

  it("goes on along a longer cosine: past steps keep their rates, and the rate rises again", async () => {
    const cosine = (totalSteps: number, learningRate = 0.02) =>
      warmupCosine({ learningRate, warmupSteps: 2, totalSteps });
    const short = await run(tiny, { steps: 6, schedule: cosine(6), checkpoint: checkpoint() });
    const longer = { steps: 12, checkpoint: checkpoint() };
    await expect(run(tiny, { ...longer, schedule: cosine(12, 0.03) })).rejects.toThrow(
      "other settings (schedule.learningRate: was 0.02, now 0.03)",
    );
    const rest = await run(tiny, { ...longer, schedule: cosine(12) });
    expect(rest.map(({ step }) => step)).toEqual([7, 8, 9, 10, 11, 12]);
    expect(rest[0]!.learningRate).toBe(cosine(12)(7));
    expect(rest[0]!.learningRate).toBeGreaterThan(short[5]!.learningRate);
  });

  it("refuses fewer steps, another cosine of as many, and another rate, each in one sentence", async () => {
    const cosine = (totalSteps: number) => warmupCosine({ learningRate: 0.02, warmupSteps: 2, totalSteps });
    const stored = { schedule: cosine(6), steps: 6, checkpoint: checkpoint() };
    await run(tiny, stored);
    const refusal = (changes: Partial<TrainOptions>) =>
      run(tiny, { ...stored, ...changes }).then(
        () => "none",
        (error: Error) => /other settings \((.*)\)\. It was/.exec(error.message)?.[1],
      );
    expect(await refusal({ steps: 5 })).toBe("steps: was 6, now 5; a run can be made longer, not shorter");
    expect(await refusal({ schedule: cosine(8) })).toBe("schedule.totalSteps: was 6, now 8");
    expect(await refusal({ steps: 8, schedule: 0.02 })).toBe(
      "schedule: the learning rate of step 1 was 0.01, now 0.02",
    );
    expect(await refusal({ steps: 8, schedule: (step) => 0.01 / step })).toBe(
      "schedule: the learning rate of step 2 was 0.02, now 0.005",
    );
  });

  it("refuses a second training of the same checkpoint, and takes over the lock of a process that has ended", async () => {
    const first = train(tiny.options({ checkpoint: checkpoint() }));
    await first.next();
    const second = run(tiny, { checkpoint: checkpoint() });
    await expect(second).rejects.toThrow(TrainingLockedError);
    await expect(second).rejects.toThrow(`process ${process.pid} on ${hostname()}. Wait until it ends`);
    await first.return(undefined);
    expect(existsSync(`${file}.lock`)).toBe(false);

    const { pid } = spawnSync(process.execPath, ["--version"]);
    const lock = (holder: object) => writeFileSync(`${file}.lock`, JSON.stringify(holder));
    lock({ machine: hostname(), process: pid });
    await run(tiny, { steps: 3, checkpoint: checkpoint() });
    lock({ machine: "elsewhere", process: pid });
    await expect(run(tiny, { steps: 3, checkpoint: checkpoint() })).rejects.toThrow(`remove ${file}.lock`);
    rmSync(`${file}.lock`);
    const ends = await Promise.allSettled(
      [1, 2, 3].map(() => elsewhere((copy) => run(copy, { checkpoint: checkpoint() }))),
    );
    expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(readdirSync(join(file, "..")).sort()).toEqual([basename(file), `${basename(file)}.previous`]);
  });

  it("detects a flipped byte, a truncated or empty file, and changes neither it nor the previous one", async () => {
    await run(tiny, { steps: 6, checkpoint: checkpoint() });
    const good = readFileSync(file);
    const before = readFileSync(`${file}.previous`);
    const again = () => run(tiny, { steps: 6, checkpoint: checkpoint() });
    const positions = Array.from({ length: 60 }, (_, k) => Math.floor((k * (good.length - 1)) / 59));
    for (const position of [...positions, 0, 7, 8, 9, 40, 80, 120]) {
      const bad = Buffer.from(good);
      bad[position]! ^= 0x10;
      writeFileSync(file, bad);
      await expect(again()).rejects.toThrow(DamagedCheckpointError);
      expect(readFileSync(file).equals(bad)).toBe(true);
    }
    for (const length of [0, 7, 100, good.length - 1]) {
      writeFileSync(file, good.subarray(0, length));
      await expect(again()).rejects.toThrow(/is damaged.*\.previous/);
    }
    expect(readFileSync(`${file}.previous`).equals(before)).toBe(true);
    writeFileSync(file, before);
    expect((await again()).map(({ step }) => step)).toEqual([4, 5, 6]);
    expect(readFileSync(file).equals(good)).toBe(true);
  });

  it("keeps the last good checkpoint when the store fails with a full disk", async () => {
    let stored: Uint8Array | undefined;
    let full = false;
    const store: CheckpointStore = {
      name: "memory",
      read: async () => stored,
      write: async (bytes) => {
        if (full) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
        stored = bytes;
      },
    };
    const attempt = async () => {
      for await (const { step } of train(tiny.options({ checkpoint: { to: store, every: 3 } }))) full = step >= 5;
    };
    await expect(attempt()).rejects.toThrow("ENOSPC");
    full = false;
    expect((await run(tiny, { checkpoint: { to: store, every: 3 } }))[0]!.step).toBe(4);
  });

  // /dev/full is always full; only Linux has it.
  const itOnLinux = existsSync("/dev/full") ? it : it.skip;
  itOnLinux("reports a full disk, says what to do, and keeps the last good file", async () => {
    await run(tiny, { checkpoint: checkpoint() }, 4);
    const good = readFileSync(file);
    const [, start, count] = /^(.*-)(\d+)\.partial$/.exec(await temporaryName(file))!;
    const temporaries = Array.from({ length: 100 }, (_, k) => `${start}${Number(count) + 1 + k}.partial`);
    for (const temporary of temporaries) symlinkSync("/dev/full", temporary);
    const failure = run(tiny, { checkpoint: checkpoint() });
    await expect(failure).rejects.toThrow(CheckpointWriteError);
    await expect(failure).rejects.toThrow(/ENOSPC.*untouched.*Free space/);
    expect(readFileSync(file).equals(good)).toBe(true);
    for (const temporary of temporaries) rmSync(temporary, { force: true });
    expect((await run(tiny, { checkpoint: checkpoint() }))[0]!.step).toBe(4);
  });

  it("refuses a folder, and a device that would never end", async () => {
    await expect(checkpointFile(folder).read()).rejects.toThrow(WeightsReadError);
    await expect(checkpointFile(folder).read()).rejects.toThrow(/cannot be read: it is a folder\. Check the path/);
    if (existsSync("/dev/zero"))
      await expect(checkpointFile("/dev/zero").read()).rejects.toThrow(/it is a pipe or a device, not a file/);
  });

  it("replaces a file only as a whole, and keeps the previous one", async () => {
    const store = checkpointFile(file);
    expect(await store.read()).toBeUndefined();
    await store.write(new Uint8Array([1]));
    await store.write(new Uint8Array([2]));
    await store.write(new Uint8Array([3]));
    expect([...(await store.read())!]).toEqual([3]);
    expect([...readFileSync(`${file}.previous`)]).toEqual([2]);
    expect(readdirSync(join(folder, "run")).sort()).toEqual([
      "checkpoint.safetensors",
      "checkpoint.safetensors.previous",
    ]);
  });
});

describe("train's log", () => {
  const log = () => join(folder, "logs", "log.csv");
  const rows = () => readFileSync(log(), "utf8").trimEnd().split("\n");
  const withoutSpeed = () => rows().map((row) => row.split(",").slice(0, 4).join(","));

  it("has one row for each step, with and without stops", async () => {
    await elsewhere((copy) => run(copy, { log: log() }));
    const whole = withoutSpeed();
    expect(whole[0]).toBe("step,loss,gradient_norm,learning_rate");
    expect(whole.slice(1).map((row) => Number(row.split(",")[0]))).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    rmSync(log());
    for (const stopAfter of [2, 5, 11, 11, Infinity]) {
      await elsewhere((copy) => run(copy, { log: log(), checkpoint: { to: file, every: 3 } }, stopAfter));
    }
    expect(withoutSpeed()).toEqual(whole);
  });

  it("keeps every digit of a float32 loss", async () => {
    const steps = await run(tiny, { log: log(), steps: 5 });
    expect(
      rows()
        .slice(1)
        .map((row) => Math.fround(Number(row.split(",")[1]))),
    ).toEqual(steps.map(({ loss }) => loss));
  });

  it("drops an incomplete row", async () => {
    await run(tiny, { log: log(), checkpoint: { to: file, every: 3 } }, 4);
    writeFileSync(log(), readFileSync(log(), "utf8") + "5,0.12");
    await run(tiny, { log: log(), checkpoint: { to: file, every: 3 } });
    expect(rows()).toHaveLength(21);
  });
});

describe("train's failures", () => {
  it("name the step, the parameter whose gradient is not finite, and what to do; the weights are kept", async () => {
    let before = tiny.values();
    const loss: TrainOptions["loss"] = (context) => {
      const bias = tiny.parameters.get("in.bias")!;
      // At zero, the square root has a finite value and an infinite gradient.
      return context.step === 4
        ? tiny.loss(context).add(bias.sub(bias).abs().sqrt().mul(bias).sum())
        : tiny.loss(context);
    };
    const attempt = async () => {
      for await (const _ of train(tiny.options({ loss }))) before = tiny.values();
    };
    const failure = await attempt().catch((error: unknown) => error as NonFiniteError);
    expect(failure).toBeInstanceOf(NonFiniteError);
    expect(failure).toMatchObject({ step: 4, parameter: "in.bias" });
    expect((failure as Error).message).toMatch(
      /step 4.*in\.bias is the first of 1 parameters \(of 4\) whose gradient.*Lower the learning rate \(now 0\.01\)/,
    );
    expect(tiny.values()).toEqual(before);
  });

  it("name the parameter that is not finite", async () => {
    tf.tidy(() => tiny.parameters.get("middle.weight")!.assign(tf.fill([24, 24], NaN)));
    await expect(run(tiny)).rejects.toMatchObject({ step: 1, parameter: "middle.weight" });
  });

  it("include a loss that is not finite although all gradients are", async () => {
    const loss: TrainOptions["loss"] = (context) => tiny.loss(context).add(tf.scalar(Infinity));
    await expect(run(tiny, { loss })).rejects.toThrow(/the loss is Infinity. All parameters and gradients are finite/);
  });

  it("never overwrite a checkpoint with numbers that are not finite", async () => {
    const checkpoint = { to: file, every: 1 };
    const loss: TrainOptions["loss"] = (context) =>
      context.step === 3 ? tiny.loss(context).mul(NaN) : tiny.loss(context);
    await expect(run(tiny, { checkpoint, loss })).rejects.toThrow(NonFiniteError);
    expect((await run(tiny, { checkpoint }))[0]!.step).toBe(3);
  });

  it.each<[Partial<TrainOptions>, string]>([
    [{ steps: 0 }, "steps is 0"],
    [{ batchSize: 1.5 }, "batchSize is 1.5"],
    [{ accumulate: -1 }, "accumulate is -1"],
    [{ seed: NaN }, "seed is NaN"],
    [{ gradientClip: 0 }, "gradientClip is 0"],
    [{ emaDecay: 1 }, "decay is 1"],
    [{ optimizer: { beta1: 2 } }, "beta1 is 2"],
    [{ checkpoint: { to: "x", every: 0 } }, "checkpoint.every is 0"],
    [{ parameters: new Map() }, "no parameters to train"],
    [{ schedule: () => NaN }, "learning rate NaN"],
  ])("refuses %o before any step", async (changes, message) => {
    const before = tf.memory().numTensors;
    await expect(run(tiny, changes)).rejects.toThrow(message);
    await expect(run(tiny, changes)).rejects.toThrow(RangeError);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("train's memory", () => {
  const failing: TrainOptions["loss"] = (context) => {
    if (context.step === 3) throw new Error("no more data");
    return tiny.loss(context);
  };

  it("does not grow over 1,000 steps", async () => {
    const counts = new Set<string>();
    for await (const { step } of train(tiny.options({ steps: 1000, accumulate: 2 }))) {
      if (step > 1) counts.add(`${tf.memory().numTensors} tensors, ${tf.memory().numBytes} bytes`);
    }
    expect(counts.size).toBe(1);
  });

  it.each<[string, () => Promise<unknown>]>([
    ["the last step", () => run(tiny)],
    ["the caller leaves the loop", () => run(tiny, {}, 3)],
    ["an exception in the loss", () => expect(run(tiny, { loss: failing })).rejects.toThrow("no more data")],
    [
      "a loss that is not finite",
      () => expect(run(tiny, { loss: (context) => tiny.loss(context).mul(NaN) })).rejects.toThrow(),
    ],
    ["an abort", () => expect(run(tiny, { signal: AbortSignal.abort() })).rejects.toThrow(TrainingInterruptedError)],
  ])("is freed after %s", async (_, body) => {
    const before = tf.memory();
    await body();
    const after = tf.memory();
    expect(after.numTensors).toBe(before.numTensors);
    expect(after.numBytes).toBe(before.numBytes);
  });
});
