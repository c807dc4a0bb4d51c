import { namedParameters, type Parameter } from "../nn/parameter.js";
import { warn } from "../platform/warn.js";
import { someNames } from "../weights/left-overs.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { openSafetensors } from "../weights/safetensors.js";
import { addOnFile, type AddOnFileOptions } from "./add-on-file.js";
import { type LoraChange, type LoraChanges, readChanges } from "./lora-file.js";
import { type LoraModels, partsOf } from "./lora-groups.js";
import { type LoraScale, requireScale } from "./lora-scale.js";
import { type LoraSettings, settingsBeside } from "./lora-settings.js";
import { NetworkLoras } from "./network-loras.js";

/** How strongly, and under which name, to add a LoRA. */
export interface LoadLoraOptions extends AddOnFileOptions {
  /** Times the change that was learned, default 1; see {@link LoraScale} for one for each network and block. */
  scale?: LoraScale;
  /** To change its scale or take it out again. Default "default". */
  name?: string;
  /**
   * PEFT's settings of the LoRA (`lora_alpha`, `alpha_pattern`, `use_rslora`), in place of any that come with it:
   * those in the file, as diffusers writes them, or for a file of PEFT's own the `adapter_config.json` beside it. To
   * give with the bytes of such a file, which have nothing beside them.
   */
  adapterConfig?: LoraSettings;
  /** Refuses a file that holds tensors without a use here, in place of listing them. Default false. */
  strict?: boolean;
}

/** What {@link LoraSet.load} found besides changes. */
export interface LoadedLora {
  /**
   * Names of tensors that changed nothing: of no form that is known, of no module of these networks, alphas of nothing.
   */
  unused: string[];
  /**
   * Words that were learned along with the LoRA (`bundle_emb.…`), for prompts: `pipeline.loadTextualInversion` with the
   * same file teaches them.
   */
  words: string[];
}

/**
 * Low-rank adaptations (Hu et al. 2022) and their relatives (see formats/) in the weights of networks: W' = W + sum of
 * dW(scale). Any number at once, each with its scale; each dW is that of the weight without the others, also of DoRA,
 * which depends on the weight, so that their order does not matter. The weights as they were are kept, so that taking
 * all out brings back their very bits.
 *
 * The set of a pipeline works on the networks that are in the pipeline now. A network that is exchanged for another
 * keeps the LoRAs in its weights: they are not in the set while it is away, and are again when it comes back.
 */
export class LoraSet {
  readonly #models: () => LoraModels;
  readonly #networks = new Map<object, NetworkLoras>();

  /** @param models the networks, or what tells which they are now */
  constructor(models: LoraModels | (() => LoraModels)) {
    this.#models = typeof models === "function" ? models : () => models;
  }

  /** The networks that LoRAs are added to. */
  get models(): LoraModels {
    return this.#models();
  }

  /** Names and scales of those that are in. */
  get scales(): Readonly<Record<string, LoraScale>> {
    return Object.fromEntries(this.#present().flatMap((network) => network.scales));
  }

  /**
   * Adds a LoRA: a safetensors file of any form that docs/models.md lists, the folder that holds it, or its name on the
   * hub. All of the file is checked before a weight changes.
   *
   * @returns what else the file holds, of which one warning tells
   * @throws WeightsMismatchError listing tensors without a counterpart, of another shape or of a method that is not
   *   known, and where nothing of the file is used; WeightsFormatError for settings of PEFT that are not known;
   *   RangeError on a name that is taken or a wrong scale
   */
  async load(from: BytesFrom, options: LoadLoraOptions = {}): Promise<LoadedLora> {
    const { scale = 1, name = "default", adapterConfig, strict, ...where } = options;
    const { models } = this;
    requireScale(name, scale, partsOf(models));
    this.#requireFree(name, models);
    const source = await addOnFile(from, where);
    const file = await openSafetensors(source);
    try {
      const beside = adapterConfig ? undefined : await settingsBeside(source);
      const settings = { given: adapterConfig, beside };
      const { changes, unused, words } = await readChanges(file, models, { settings, strict });
      this.#requireFree(name, models); // Another may have taken it while this one was read.
      for (const network of networksOf(models)) {
        const own = changesOf(network, changes);
        if (own.size > 0) this.#of(network).add(name, scale, own);
      }
      const idle = idleWarning(unused, words);
      if (idle !== undefined) warn(`${file.name}: ${idle}`);
      return { unused, words };
    } finally {
      await file.close();
    }
  }

  /** Throws RangeError if there is no such LoRA, or on a wrong scale. */
  setScale(name: string, scale: LoraScale): void {
    requireScale(name, scale, partsOf(this.models));
    for (const network of this.#with(name)) network.setScale(name, scale);
  }

  /** Takes one out, or all; with none left the weights have their old bits. */
  unload(name?: string): void {
    for (const each of name === undefined ? Object.keys(this.scales) : [name])
      for (const network of this.#with(each)) network.remove(each);
  }

  /**
   * Makes the weights as they are now the networks' own: the LoRAs are forgotten, others can be added on top.
   * {@link unfuse} takes that back; with `forGood` nothing is kept for it, which is less memory.
   */
  fuse({ forGood = false }: { forGood?: boolean } = {}): void {
    for (const network of this.#present()) network.fuse(forGood);
  }

  /**
   * Takes out all that was ever fused, except for good: the weights have their old bits, but for LoRAs that were added
   * since.
   */
  unfuse(): void {
    for (const network of this.#present()) network.unfuse();
  }

  /** Frees all that is kept, also for networks that were exchanged; the weights stay as they are. */
  dispose(): void {
    for (const network of this.#networks.values()) network.dispose();
    this.#networks.clear();
  }

  #of(network: object): NetworkLoras {
    const loras = this.#networks.get(network) ?? new NetworkLoras();
    this.#networks.set(network, loras);
    return loras;
  }

  /** What is in the networks of now. */
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
    throw new RangeError(`A LoRA "${name}" is in already; give this one another name.`);
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

/** Those of one network's parameters. */
function changesOf(network: object, changes: LoraChanges): LoraChanges {
  const own = new Map<Parameter, LoraChange>();
  for (const [, parameter] of namedParameters(network)) {
    const change = changes.get(parameter);
    if (change) own.set(parameter, change);
  }
  return own;
}
