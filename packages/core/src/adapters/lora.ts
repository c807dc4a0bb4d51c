import { namedParameters, type Parameter } from "../nn/parameter.js";
import { requireLive } from "../platform/disposed.js";
import { optionNames, requireKnownOptions } from "../platform/known-options.js";
import { warn } from "../platform/warn.js";
import { someNames } from "../weights/left-overs.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import type { AddOnFileOptions } from "./add-on-file.js";
import { disposeChanges, type LoraChange, type LoraChanges } from "./lora-change.js";
import { type LoraModels, partsOf } from "./lora-models.js";
import { type LoraScale, requireScale } from "./lora-scale.js";
import type { LoraSettings } from "./lora-settings.js";
import { NetworkLoras } from "./network-loras.js";

/** How to add a LoRA: its scale, its name and its settings. */
export interface LoadLoraOptions extends AddOnFileOptions {
  /** Factor of the change, default 1. See {@link LoraScale} for scales of single networks and blocks. */
  scale?: LoraScale;
  /** The name for `setScale` and `unload`. Default "default". */
  name?: string;
  /**
   * PEFT's settings of the LoRA (`lora_alpha`, `alpha_pattern`, `use_rslora`). Default: the settings in the file, as
   * diffusers writes them, or the `adapter_config.json` next to it. Give them with the bytes of PEFT's own files.
   */
  adapterConfig?: LoraSettings;
  /** Refuse a file with unused tensors instead of listing them. Default false. */
  strict?: boolean;
}

const LOAD_OPTIONS = optionNames<LoadLoraOptions>()({
  scale: true,
  name: true,
  adapterConfig: true,
  strict: true,
  weightName: true,
  revision: true,
  token: true,
  signal: true,
  onProgress: true,
});

/** The result of {@link LoraSet.load}: what the file holds besides changes. */
export interface LoadedLora {
  /**
   * Names of tensors without effect: of an unknown format, of no module of these networks, or an alpha without tensors.
   */
  unused: string[];
  /**
   * Words for prompts that were learned together with the LoRA (`bundle_emb.…`). To use them, give the same file to
   * `pipeline.loadTextualInversion`.
   */
  words: string[];
}

/**
 * Low-rank adaptations (Hu et al. 2022) and related formats (see formats/) in the weights of networks: W' = W + sum of
 * dW(scale). There can be any number of them, each with its scale. Each dW is computed from the original weight (also
 * for DoRA, which depends on it), so their order does not matter. The original weights are kept, and unloading all
 * LoRAs restores them bit for bit.
 *
 * The set of a pipeline works on the pipeline's present networks. A network that is replaced keeps the LoRAs in its
 * weights. They are not in the set while it is not in the pipeline, and are again when it is assigned again.
 */
export class LoraSet {
  readonly #models: () => LoraModels;
  readonly #networks = new Map<object, NetworkLoras>();
  #isDisposed = false;

  /** @param models the networks, or a function that returns the present ones */
  constructor(models: LoraModels | (() => LoraModels)) {
    this.#models = typeof models === "function" ? models : () => models;
  }

  /**
   * The networks that LoRAs are added to.
   *
   * @throws DisposedError after {@link dispose}, as all other methods
   */
  get models(): LoraModels {
    requireLive(this.#isDisposed, "LoraSet", "make a new one, or load the pipeline again");
    return this.#models();
  }

  /** Names and scales of the loaded LoRAs. */
  get scales(): Readonly<Record<string, LoraScale>> {
    return Object.fromEntries(this.#present().flatMap((network) => network.scales));
  }

  /**
   * Adds a LoRA: a safetensors file in any format of docs/models.md, the folder that holds it, or its name on the hub.
   * The whole file is checked before a weight changes.
   *
   * @returns unused tensors and learned words in the file, of which it also warns
   * @throws WeightsMismatchError listing tensors without a counterpart, with a wrong shape or of an unsupported method,
   *   and if no tensor of the file can be used; WeightsFormatError for unsupported settings of PEFT; RangeError for a
   *   name that is in use, and for an invalid scale
   */
  async load(from: BytesFrom, options: LoadLoraOptions = {}): Promise<LoadedLora> {
    requireKnownOptions("loras.load", options, LOAD_OPTIONS);
    const { scale = 1, name = "default", ...reading } = options;
    const { models } = this;
    requireScale(name, scale, partsOf(models));
    this.#requireFree(name, models);
    const { readLora } = await import("./lora-file.js");
    const lora = await readLora(from, models, reading);
    try {
      this.#requireFree(name, models); // Another LoRA may have taken the name while this one was read.
      for (const parameter of lora.changes.keys()) void parameter.value; // Throws if the network was disposed of.
    } catch (error) {
      disposeChanges(lora.changes);
      throw error;
    }
    for (const network of networksOf(models)) {
      const own = changesOf(network, lora.changes);
      if (own.size > 0) this.#of(network).add(name, scale, own);
    }
    const { unused, words } = lora;
    const idle = idleWarning(unused, words);
    if (idle !== undefined) warn(`${lora.name}: ${idle}`);
    return { unused, words };
  }

  /**
   * Changes the scale of a LoRA.
   * @throws RangeError if there is no such LoRA, or for an invalid scale
   */
  setScale(name: string, scale: LoraScale): void {
    requireScale(name, scale, partsOf(this.models));
    for (const network of this.#with(name)) network.setScale(name, scale);
  }

  /** Removes one LoRA, or all without a name. Without any, the weights have their original bits. */
  unload(name?: string): void {
    for (const each of name === undefined ? Object.keys(this.scales) : [name])
      for (const network of this.#with(each)) network.remove(each);
  }

  /**
   * Makes the present weights the networks' own: the LoRAs leave the set, and others can be added. {@link unfuse}
   * reverts this. With `forGood` it cannot be reverted, which takes less memory.
   */
  fuse({ forGood = false }: { forGood?: boolean } = {}): void {
    for (const network of this.#present()) network.fuse(forGood);
  }

  /**
   * Removes everything that was fused (not `forGood`): the weights have their original bits, plus LoRAs that were added
   * later.
   */
  unfuse(): void {
    for (const network of this.#present()) network.unfuse();
  }

  /** Frees the kept weights, also for networks that were replaced. The networks' weights do not change. */
  dispose(): void {
    this.#isDisposed = true;
    for (const network of this.#networks.values()) network.dispose();
    this.#networks.clear();
  }

  #of(network: object): NetworkLoras {
    const loras = this.#networks.get(network) ?? new NetworkLoras();
    this.#networks.set(network, loras);
    return loras;
  }

  /** The LoRAs in the present networks. */
  #present(models = this.models): NetworkLoras[] {
    return networksOf(models).flatMap((network) => this.#networks.get(network) ?? []);
  }

  #with(name: string): NetworkLoras[] {
    const found = this.#present().filter((network) => network.has(name));
    if (found.length > 0) return found;
    const known = Object.keys(this.scales).join(", ") || "none";
    throw new RangeError(`There is no LoRA "${name}" in these networks; there is: ${known}.`);
  }

  #requireFree(name: string, models: LoraModels): void {
    if (!this.#present(models).some((network) => network.has(name))) return;
    throw new RangeError(`A LoRA "${name}" is loaded already; give this one another name.`);
  }
}

function idleWarning(unused: readonly string[], words: readonly string[]): string | undefined {
  const sentences = [
    unused.length > 0 && `${unused.length} of its tensors change nothing in these networks: ${someNames(unused)}.`,
    words.length > 0 &&
      `It also holds words for prompts: ${someNames(words)}. To use them, give the file to loadTextualInversion.`,
  ].filter((sentence) => sentence !== false);
  return sentences.length > 0 ? sentences.join(" ") : undefined;
}

function networksOf(models: LoraModels): object[] {
  return partsOf(models).map(([, network]) => network);
}

/** The changes of one network's parameters. */
function changesOf(network: object, changes: LoraChanges): LoraChanges {
  const own = new Map<Parameter, LoraChange>();
  for (const [, parameter] of namedParameters(network)) {
    const change = changes.get(parameter);
    if (change) own.set(parameter, change);
  }
  return own;
}
