/** A picture from a text: a trained network, and a sampler written out. `node packages/examples/dist/minimal.js` */
import { writeFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs";
import { encodePng, openPipeline, type PixelDiffusionPipeline, useBackend } from "@tfjs-diffusion/core";
import { keyedNoise } from "@tfjs-diffusion/schedulers";

const [file = "minimal.png", prompt = "a smiling face with brown hair"] = process.argv.slice(2);
const [steps, scale] = [20, 3];
await useBackend();
const pipeline = (await openPipeline("packages/examples/weights/faces")) as PixelDiffusionPipeline;
const { unet, textEncoder, textEncoder2, tokenizer, scheduler } = pipeline.parts;

// What the network knows of the prompt and, in a second row, of no prompt: guidance leads away from that one.
const maxLength = textEncoder.config.max_position_embeddings;
const tokens = [prompt, ""].map((text) => tokenizer.encode(text, { maxLength }));
const ids = tf.tensor2d(tokens, [2, maxLength], "int32");
const context = tf.tidy(() => textEncoder.forward(ids).lastHiddenState);
const classLabels = tf.tidy(() => textEncoder2!.forward(ids).textEmbeds);

const level = (t: number) => [Math.sqrt(scheduler.alphaBar[t] ?? 1), Math.sqrt(1 - (scheduler.alphaBar[t] ?? 1))];
let x = keyedNoise(0).normal([1, 16, 16, 3]) as tf.Tensor4D; // pure noise
for (let t = 999; t >= 0; t -= 1000 / steps) {
  const [alpha, sigma] = level(t) as [number, number]; // x = alpha x0 + sigma noise
  const [nextAlpha, nextSigma] = level(t - 1000 / steps) as [number, number];
  const before = x;
  x = tf.tidy(() => {
    const output = unet.forward(tf.concat([x, x]), t, context, { classLabels });
    const [withPrompt, without] = tf.split(output, 2) as [tf.Tensor4D, tf.Tensor4D];
    const v = without.add(withPrompt.sub(without).mul(scale)); // the network predicts v = alpha noise - sigma x0
    const x0 = x.mul(alpha).sub(v.mul(sigma)).clipByValue(-1, 1); // the clean picture that it sees in x
    const noise = x.sub(x0.mul(alpha)).div(sigma); // what is left of x
    return x0.mul(nextAlpha).add(noise.mul(nextSigma)); // DDIM: both again, with less noise
  });
  before.dispose();
}

const image = tf.tidy(() => x.add(1).div(2).squeeze([0])); // from [-1, 1] to [0, 1]
await writeFile(file, await encodePng(image));
tf.dispose([ids, context, classLabels, x, image]);
pipeline.dispose();
