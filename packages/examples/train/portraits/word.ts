import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { denoisingLoss, saveSdxlWord, TrainableWord, type TrainingStep } from "@tfjs-diffusion/core/training";
import { DDIMScheduler } from "@tfjs-diffusion/schedulers";
import { LU } from "../../datasets/portraits/people.js";
import { PersonLatents } from "./person-latents.js";
import { SCHEDULER_CONFIG } from "./settings.js";
import { Tuning, type TuningOptions, velocity } from "./tuning.js";

/** The new word. */
export const LU_WORD = "<lu>";

/** The name of a word's file in its folder, diffusers' own. */
export const WORD_FILE = "learned_embeds.safetensors";

/**
 * Textual inversion (Gal et al. 2023): one new word is to mean a person, from a few pictures of that person. Only
 * the word's vectors are trained, a few for each text tower.
 */
export async function* trainWord(options: TuningOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, model, folder } = options;
  const tuning = await Tuning.open(model, settings, settings.word);
  const { unet, vae, textEncoder, textEncoder2 } = tuning.networks;
  const { pictures, vectors, batchSize } = settings.word;
  const lu = new PersonLatents(vae, LU, LU_WORD, { count: pictures, seed: settings.seed });
  const shared = { tokenizer: tuning.tokenizer, token: LU_WORD, like: "person", vectors };
  const words = {
    clip_l: new TrainableWord({ ...shared, textEncoder }),
    clip_g: new TrainableWord({ ...shared, textEncoder: textEncoder2 }),
  };
  const named = Object.entries(words).map(([key, word]) => [key, word.parameters().get(LU_WORD)!] as const);
  const scheduler = new DDIMScheduler(SCHEDULER_CONFIG);
  await mkdir(folder, { recursive: true });
  try {
    yield* tuning.train(
      options,
      new Map(named),
      ({ noise }) => {
        const { x0, captions } = lu.batch(batchSize, noise.at("person"));
        return words.clip_l.within(() =>
          words.clip_g.within(() => {
            const model = velocity(unet, tuning.conditioning(captions, words.clip_l.tokenizer));
            return denoisingLoss({ scheduler, model, x0, noise });
          }),
        );
      },
      () => saveSdxlWord(join(folder, WORD_FILE), words),
    );
  } finally {
    for (const word of Object.values(words)) word.dispose();
    tuning.dispose();
  }
}
