import { namedParameters, type Parameter } from "../nn/parameter.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { openSafetensors } from "../weights/safetensors.js";
import { addOnFile, type AddOnFileOptions } from "./add-on-file.js";
import { type LoraChange, type LoraChanges, type LoraModels, readChanges } from "./lora-file.js";
import { type LoraSettings, settingsBeside } from "./lora-settings.js";
import { NetworkLoras } from "./network-loras.js";

/** How strongly, and under which name, to add a LoRA. */
export interface LoadLoraOptions extends AddOnFileOptions {
  /** Times the change that was learned, default 1; 0 changes nothing, below 0 it is turned round. */
  scale?: number;
  /** To change its scale or take it out again. Default "default". */
  name?: string;
  /**
   * PEFT's settings of the LoRA (`lora_alpha`, `alpha_pattern`, `use_rslora`), in place of any that come with it:
   * those in the file, as diffusers writes them, or for a file of PEFT's own the `adapter_config.json` beside it. To
   * give with the bytes of such a file, which have nothing beside them.
   */
  adapterConfig?: LoraSettings;
}

/**
 * Low-rank adaptations (Hu et al. 2022) in the weights of networks: W' = W + sum of scale * alpha / rank * up down. Any
 * number at once, each with its scale. The weights as they were are kept, so that taking all out brings back their very
 * bits.
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
  get scales(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#present().flatMap((network) => network.scales));
  }

  /**
   * Adds a LoRA: a safetensors file in the form of PEFT, of diffusers before it, or of kohya's scripts, the folder that
   * holds it, or its name on the hub. All of the file is checked before a weight changes.
   *
   * @throws WeightsMismatchError listing every tensor that belongs to no module, has no counterpart or another shape;
   *   WeightsFormatError for settings of PEFT that are not known; RangeError on a name that is taken or a scale that is
   *   no number
   */
  async load(from: BytesFrom, options: LoadLoraOptions = {}): Promise<void> {
    const { scale = 1, name = "default", adapterConfig, ...where } = options;
    requireScale(name, scale);
    const { models } = this;
    this.#requireFree(name, models);
    const source = await addOnFile(from, where);
    const file = await openSafetensors(source);
    try {
      const changes = await readChanges(file, models, {
        given: adapterConfig,
        beside: adapterConfig ? undefined : await settingsBeside(source),
      });
      this.#requireFree(name, models); // Another may have taken it while this one was read.
      for (const network of networksOf(models)) {
        const own = changesOf(network, changes);
        if (own.size > 0) this.#of(network).add(name, scale, own);
      }
    } finally {
      await file.close();
    }
  }

  /** Throws RangeError if there is no such LoRA, or on a scale that is no number. */
  setScale(name: string, scale: number): void {
    requireScale(name, scale);
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

function networksOf(models: LoraModels): object[] {
  return Object.values(models).filter((network: object | undefined) => network !== undefined);
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

function requireScale(name: string, scale: number): void {
  if (!Number.isFinite(scale)) throw new RangeError(`LoRA "${name}": the scale is ${scale}; give a finite number.`);
}
