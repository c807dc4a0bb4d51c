import * as tf from "@tensorflow/tfjs";
import { type AutoencoderKL, CLIPTokenizer, guide, toUnit } from "@tfjs-diffusion/core";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { join } from "node:path";
import { tokenIds } from "../clip.js";
import type { Sampler } from "../eval-run.js";
import { conditioning, loadNetworks, type PortraitNetworks } from "./networks.js";
import { SCHEDULER_CONFIG } from "./settings.js";

/** Opens the folder that `npm run train:portraits` wrote. */
export async function openPortraitSampler(folder: string): Promise<{ sample: Sampler; dispose(): void }> {
  const networks = await loadNetworks(folder);
  const tokenizer = await CLIPTokenizer.fromFolder(join(folder, "tokenizer"));
  return {
    sample: portraitSampler(networks, tokenizer),
    dispose: () => Object.values({ ...networks }).forEach((network) => network.dispose()),
  };
}

/** Draws latents by DDIM (Song et al. 2021) with classifier-free guidance, as the UNet was trained, and decodes them. */
export function portraitSampler(
  networks: PortraitNetworks & { vae: AutoencoderKL },
  tokenizer: CLIPTokenizer,
): Sampler {
  const { unet, vae } = networks;
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  return async (captions, { guidance, steps, seed, negative = "" }) => {
    const noise = keyedNoise(seed);
    const plan = scheduler.plan(steps);
    const texts = guidance > 1 ? [...captions.map(() => negative), ...captions] : captions;
    const told = tf.tidy(() => conditioning(networks, tokenIds(tokenizer, texts)));
    const { context, ...added } = told;
    const predict = (x: tf.Tensor4D, timestep: number): tf.Tensor4D => {
      const copies = texts.length / captions.length;
      const output = unet.forward(
        tf.concat(Array<tf.Tensor4D>(copies).fill(x)),
        tf.fill([texts.length], timestep),
        context,
        added,
      );
      if (copies === 1) return output;
      const [without, withPrompt] = tf.split(output, 2) as [tf.Tensor4D, tf.Tensor4D];
      return guide(without, withPrompt, guidance);
    };
    const { sample_size, in_channels } = unet.config;
    const side = [sample_size].flat()[0]!;
    let x = tf.tidy(() => plan.start(noise.normal([captions.length, side, side, in_channels])).x as tf.Tensor4D);
    try {
      for (const [i, timestep] of plan.timesteps.entries()) {
        const next = tf.tidy(() => {
          const output = predict(plan.scaleInput(x, i) as tf.Tensor4D, timestep);
          return plan.step({ x, history: [] }, output, i, noise).x as tf.Tensor4D;
        });
        x.dispose();
        x = next;
        // Lets a signal or a progress bar have its turn.
        await tf.nextFrame();
      }
      return tf.tidy(() => toUnit(vae.decode(x.div(vae.config.scaling_factor))));
    } finally {
      tf.dispose([x, told]);
    }
  };
}
