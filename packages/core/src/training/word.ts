import * as tf from "@tensorflow/tfjs";
import { requireLive } from "../platform/disposed.js";
import type { CLIPTextModel, CLIPTextModelWithProjection } from "../models/clip/clip-text-model.js";
import type { Parameter } from "../nn/parameter.js";
import type { CLIPTokenizer } from "../text/tokenizer.js";
import type { SdxlWordKey } from "../adapters/textual-inversion.js";
import { writeSafetensors } from "../weights/write-safetensors.js";

/** Settings of a new {@link TrainableWord}. */
export interface TrainableWordOptions {
  tokenizer: CLIPTokenizer;
  /** The encoder that the UNet reads. Its vocabulary grows by one token for each vector of the word. */
  textEncoder: CLIPTextModel | CLIPTextModelWithProjection;
  /** The new word, such as `<my-cat>`. */
  token: string;
  /** Initial words, such as "cat": the new vectors start as the mean of their vectors. */
  like: string;
  /** How many vectors the word has. Default 1. */
  vectors?: number;
}

/**
 * Textual inversion in training (Gal et al. 2023): a new word whose vectors are learned, while all networks stay as
 * they are.
 *
 *     const word = new TrainableWord({ tokenizer, textEncoder, token: "<my-cat>", like: "cat" });
 *     const loss = (context) => word.within(() => lossOf("a photo of <my-cat>", context));
 *     train({ parameters: word.parameters(), loss, ... });
 *     await word.save("my-cat/learned_embeds.safetensors");
 *
 * `word.tokenizer` knows the word; the file is as diffusers writes it, and `loadTextualInversion` reads it. Stable
 * Diffusion XL has two text encoders: make a word for each, and write both with {@link saveSdxlWord}.
 */
export class TrainableWord {
  /** A tokenizer with the word; the given tokenizer does not change. */
  readonly tokenizer: CLIPTokenizer;
  readonly #token: string;
  readonly #first: number;
  readonly #table: Parameter;
  readonly #vectors: tf.Variable<tf.Rank.R2>;
  #isDisposed = false;

  /** @throws RangeError for a word that is known, no words to begin with, or a number of vectors below 1 */
  constructor({ tokenizer, textEncoder, token, like, vectors = 1 }: TrainableWordOptions) {
    if (!(Number.isInteger(vectors) && vectors > 0)) {
      throw new RangeError(`TrainableWord: vectors is ${vectors}; it must be a whole number, 1 or more.`);
    }
    const likes = tokenizer.tokenize(like);
    if (likes.length === 0)
      throw new RangeError(`TrainableWord: like is ${JSON.stringify(like)}; give a word, such as "cat".`);
    const { embeddings } = textEncoder.text_model;
    this.#first = textEncoder.config.vocab_size;
    this.#token = token;
    this.tokenizer = tokenizer.withToken(
      token,
      Array.from({ length: vectors }, (_, i) => this.#first + i),
    );
    this.#vectors = tf.tidy(() => {
      const known = tf.gather(embeddings.token_embedding.weight.value, tf.tensor1d(likes, "int32"));
      return tf.variable(known.mean<tf.Tensor2D>(0, true).tile<tf.Tensor2D>([vectors, 1]));
    });
    textEncoder.text_model.addTokens(this.#vectors);
    this.#table = embeddings.token_embedding.weight;
  }

  /** The vectors [vectors, hidden_size], by the word's name. They belong to the word. */
  parameters(): Map<string, tf.Variable> {
    this.#requireLive();
    return new Map([[this.#token, this.#vectors]]);
  }

  /** Runs `body`, which must be synchronous, with the current vectors in the encoder. Gradients reach them. */
  within<T extends tf.TensorContainer>(body: () => T): T {
    this.#requireLive();
    return tf.tidy(() => {
      try {
        this.#table.standIn = this.#longer();
        return body();
      } finally {
        this.#table.standIn = undefined;
      }
    });
  }

  /** The table of all vectors, with this word's vectors at the end. */
  #longer(): tf.Tensor {
    const width = this.#vectors.shape[1];
    return tf.concat([this.#table.variable.slice([0, 0], [this.#first, width]), this.#vectors]);
  }

  /** Writes the word as diffusers does: its vectors, by its name. */
  async save(file: string): Promise<void> {
    await writeVectors(file, this.parameters());
  }

  /** Frees the word; the encoder keeps the vectors as they were learned. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    tf.tidy(() => this.#table.assign(this.#longer()));
    this.#vectors.dispose();
  }

  #requireLive(): void {
    requireLive(this.#isDisposed, "TrainableWord", "save it before; the encoder knows the word");
  }
}

/**
 * Writes a word of Stable Diffusion XL: what each of its text encoders learned, as `clip_l` and `clip_g` in one file.
 * The file does not name the word, so give it when you load it: `pipeline.loadTextualInversion(file, "<my-cat>")`.
 */
export async function saveSdxlWord(file: string, words: Record<SdxlWordKey, TrainableWord>): Promise<void> {
  const vectors = Object.entries(words).map(([key, word]) => [key, [...word.parameters().values()][0]!] as const);
  await writeVectors(file, new Map(vectors));
}

async function writeVectors(file: string, named: ReadonlyMap<string, tf.Variable>): Promise<void> {
  const tensors = [...named].map(([name, vectors]) => {
    const data = async () => (await vectors.data()) as Float32Array;
    return [name, { dtype: "F32" as const, shape: vectors.shape, data }] as const;
  });
  await writeSafetensors(file, new Map(tensors), { format: "pt" });
}
