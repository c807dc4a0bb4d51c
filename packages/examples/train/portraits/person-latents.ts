import * as tf from "@tensorflow/tfjs";
import type { AutoencoderKL } from "@tfjs-diffusion/core/models";
import type { KeyedNoise } from "@tfjs-diffusion/schedulers";
import { type Person, picturesOf, withSetting } from "../../datasets/portraits/people.js";
import { PORTRAITS_2 } from "../../datasets/portraits-2/index.js";
import { TrainingLatents } from "./training-latents.js";

/** The few pictures of a person to learn from, as latents. */
export class PersonLatents {
  readonly #pictures: ReturnType<typeof picturesOf>;
  readonly #latents: TrainingLatents;

  /** @param name what the captions call the person */
  constructor(
    vae: AutoencoderKL,
    person: Person,
    readonly name: string,
    { count, seed }: { count: number; seed: number },
  ) {
    const kind = PORTRAITS_2;
    this.#pictures = picturesOf(person, { count, seed, sample: kind.sample });
    const batch = (indices: readonly number[]) => {
      const pixels = indices.flatMap((index) => [...this.#pictures[index]!.pixels]);
      return tf.tidy(() =>
        tf.tensor4d(pixels, [indices.length, kind.size, kind.size, 3]).div(127.5).sub<tf.Tensor4D>(1),
      );
    };
    this.#latents = TrainingLatents.encode(vae, { kind, size: count, batch });
  }

  /** Latents of random pictures, which the caller owns, and their captions. */
  batch(size: number, noise: KeyedNoise): { x0: tf.Tensor4D; captions: string[] } {
    const random = noise.at("pictures").random();
    const indices = Array.from({ length: size }, () => random.integer(this.#pictures.length));
    const captions = indices.map((index) => withSetting(this.name, this.#pictures[index]!.face, random));
    return { x0: this.#latents.batch(indices, noise.at("latents")), captions };
  }
}
