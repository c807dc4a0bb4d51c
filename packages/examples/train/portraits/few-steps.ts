import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { guide, TrainableLora, type TrainingStep } from "@tfjs-diffusion/core";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { consistencyLoss, type Velocity } from "./consistency-loss.js";
import { SCHEDULER_CONFIG } from "./settings.js";
import { LORA_FILE } from "./style.js";
import { TrainingLatents } from "./training-latents.js";
import { Tuning, type TuningOptions, velocity } from "./tuning.js";

/** Every linear layer of attention and of what follows it. */
const TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2", "proj_in", "proj_out", "time_emb_proj"];

/**
 * A LoRA learns to jump to the end of the trajectories that the model draws with guidance (LCM-LoRA, Luo et al. 2023b): with it LCMScheduler draws in
 * 1 to 4 steps, without guidance, which is already in it.
 */
export async function* trainFewSteps(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model, folder } = options;
  const { rank, guidance, places, skip } = settings.fewSteps;
  // Captions are never left out: what is drawn without one is what the teacher is guided away from.
  const tuning = await Tuning.open(model, { ...settings, captionDropout: 0 }, settings.fewSteps);
  const { unet, vae } = tuning.networks;
  const latents = TrainingLatents.encode(vae, tuning.pictures);
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  const noise = keyedNoise(settings.seed).at("few steps");
  const lora = new TrainableLora(unet, { rank, targets: TARGETS, noise });
  await mkdir(folder, { recursive: true });
  try {
    yield* tuning.train(
      options,
      lora.parameters(),
      ({ firstSample, noise }) => {
        const { indices, told } = tuning.batch(firstSample);
        const without = tuning.told(indices.map(() => ""));
        const [guided, plain] = [velocity(unet, told), velocity(unet, without)];
        const teacher: Velocity = (x, timesteps) => guide(plain(x, timesteps), guided(x, timesteps), guidance);
        const student: Velocity = (x, timesteps) => lora.within(() => guided(x, timesteps));
        const x0 = latents.batch(indices, noise.at("latents"));
        return consistencyLoss({ scheduler, student, teacher, places, skip, x0, noise });
      },
      () => lora.save(join(folder, LORA_FILE), { dtype: "F16" }),
    );
  } finally {
    lora.dispose();
    tuning.dispose();
  }
}
