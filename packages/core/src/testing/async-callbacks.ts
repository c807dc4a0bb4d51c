/**
 * A process that gives every callback of the library asynchronously, and rejecting. Prints a line of JSON for each: its
 * name, and the error that the caller catches. A rejection that nobody handles would end the process before the last.
 */
import * as tf from "@tensorflow/tfjs";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { useBackend } from "../backend/use-backend.js";
import { train } from "../training/train.js";
import { eventLoopTurn } from "../platform/event-loop.js";
import { tinyLatentPipeline } from "./tiny-latent-pipeline.js";

await useBackend("cpu");
const pipeline = tinyLatentPipeline();
const rejecting = async (): Promise<never> => {
  await eventLoopTurn();
  throw new Error("mine");
};
const asked = { prompt: "red", width: 16, height: 16, numInferenceSteps: 2 };
const draw = (more: object) => () => pipeline.generate({ ...asked, ...more });
const weight = tf.variable(tf.scalar(1));
const trained = (more: object) => async () => {
  const options = {
    parameters: new Map([["weight", weight]]),
    loss: () => weight.square(),
    steps: 2,
    batchSize: 1,
    seed: 0,
  };
  for await (const _ of train({ ...options, ...more }));
};
const ddim = new DDIMScheduler();
const ownSampler = (plan: object) => ({
  config: ddim.config,
  alphaBar: ddim.alphaBar,
  plan: (steps: number) => ({ ...ddim.plan(steps), ...plan }),
});
const { unet } = pipeline.parts;
const { inChannels, outChannels, sampleSize, contextWidth } = unet;

const CALLS: Record<string, () => unknown> = {
  onStep: draw({ onStep: rejecting }),
  guidanceFunction: draw({ guidanceFunction: rejecting }),
  loraResolver: draw({ prompt: "red <lora:a:1>", promptWeighting: true, loraResolver: rejecting }),
  "noise.normal": draw({ noise: { normal: rejecting, uniform: rejecting } }),
  "plan.start": draw({ scheduler: ownSampler({ start: rejecting }) }),
  "plan.scaleInput": draw({ scheduler: ownSampler({ scaleInput: rejecting }) }),
  "plan.step": draw({ scheduler: ownSampler({ step: rejecting }) }),
  "denoiser.forward": async () => {
    pipeline.parts.unet = { inChannels, outChannels, sampleSize, contextWidth, forward: rejecting } as never;
    await draw({})().finally(() => (pipeline.parts.unet = unet));
  },
  onTruncate: () => pipeline.parts.tokenizer.encode("a ".repeat(100), { onTruncate: rejecting }),
  onCheckpoint: trained({ onCheckpoint: rejecting }),
  loss: trained({ loss: rejecting }),
  schedule: trained({ schedule: rejecting }),
  "checkpoint.to.write": trained({
    checkpoint: { every: 1, to: { name: "mine", read: async () => undefined, write: rejecting } },
  }),
};
await draw({ noise: keyedNoise(0) })(); // What is given right draws.
for (const [name, call] of Object.entries(CALLS)) {
  const error: unknown = await (async () => call())().then(
    () => undefined,
    (error: unknown) => error,
  );
  const { name: type, message } = (error ?? {}) as Partial<Error>;
  for (let turn = 0; turn < 3; turn++) await eventLoopTurn();
  console.log(JSON.stringify({ name, type, message }));
}
