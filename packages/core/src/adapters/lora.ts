import * as tf from "@tensorflow/tfjs";
import type { Parameter } from "../nn/parameter.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { openSafetensors } from "../weights/safetensors.js";
import { addOnFile, type AddOnFileOptions } from "./add-on-file.js";
import { deltaOf, disposeChanges, type LoraChanges, type LoraModels, readChanges } from "./lora-file.js";
import { type LoraSettings, settingsBeside } from "./lora-settings.js";

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
 */
export class LoraSet {
  readonly #loras = new Map<string, { scale: number; changes: LoraChanges }>();
  /** What the LoRAs are added to. */
  readonly #base = new Map<Parameter, tf.Tensor>();
  /** What that was before anything was fused into it. */
  readonly #beforeFuse = new Map<Parameter, tf.Tensor>();

  constructor(readonly models: LoraModels) {}

  /** Names and scales of those that are in. */
  get scales(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#loras].map(([name, { scale }]) => [name, scale]));
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
    this.#requireFree(name);
    const source = await addOnFile(from, where);
    const file = await openSafetensors(source);
    try {
      const changes = await readChanges(file, this.models, {
        given: adapterConfig,
        beside: adapterConfig ? undefined : await settingsBeside(source),
      });
      this.#requireFree(name); // Another may have taken it while this one was read.
      this.#loras.set(name, { scale, changes });
      this.#mix(changes.keys());
    } finally {
      await file.close();
    }
  }

  /** Throws RangeError if there is no such LoRA, or on a scale that is no number. */
  setScale(name: string, scale: number): void {
    requireScale(name, scale);
    const lora = this.#get(name);
    lora.scale = scale;
    this.#mix(lora.changes.keys());
  }

  /** Takes one out, or all; with none left the weights have their old bits. */
  unload(name?: string): void {
    for (const each of name === undefined ? [...this.#loras.keys()] : [name]) {
      const { changes } = this.#get(each);
      this.#loras.delete(each);
      this.#mix(changes.keys());
      disposeChanges(changes);
    }
  }

  /**
   * Makes the weights as they are now the networks' own: the LoRAs are forgotten, others can be added on top.
   * {@link unfuse} takes that back; with `forGood` nothing is kept for it, which is less memory.
   */
  fuse({ forGood = false }: { forGood?: boolean } = {}): void {
    for (const [parameter, base] of this.#base) {
      if (forGood || this.#beforeFuse.has(parameter)) base.dispose();
      else this.#beforeFuse.set(parameter, base);
    }
    this.#base.clear();
    this.#forgetLoras();
    if (forGood) this.#forget(this.#beforeFuse);
  }

  /**
   * Takes out all that was ever fused, except for good: the weights have their old bits, but for LoRAs that were added
   * since.
   */
  unfuse(): void {
    for (const [parameter, old] of this.#beforeFuse) {
      this.#base.get(parameter)?.dispose();
      this.#base.set(parameter, old);
    }
    const changed = [...this.#beforeFuse.keys()];
    this.#beforeFuse.clear();
    this.#mix(changed);
  }

  /** Frees all that is kept; the weights stay as they are. */
  dispose(): void {
    this.#forgetLoras();
    this.#forget(this.#base);
    this.#forget(this.#beforeFuse);
  }

  #forgetLoras(): void {
    for (const { changes } of this.#loras.values()) disposeChanges(changes);
    this.#loras.clear();
  }

  #forget(weights: Map<Parameter, tf.Tensor>): void {
    tf.dispose([...weights.values()]);
    weights.clear();
  }

  #get(name: string) {
    const lora = this.#loras.get(name);
    if (lora) return lora;
    const known = [...this.#loras.keys()].join(", ") || "none";
    throw new RangeError(`There is no LoRA "${name}" in these networks; there is: ${known}.`);
  }

  #requireFree(name: string): void {
    if (this.#loras.has(name)) throw new RangeError(`A LoRA "${name}" is in already; give this one another name.`);
  }

  /** Computes these weights anew from the old ones and all changes. */
  #mix(parameters: Iterable<Parameter>): void {
    const loras = [...this.#loras.values()];
    for (const parameter of parameters) {
      const base = this.#base.get(parameter) ?? tf.keep(parameter.toDisk());
      this.#base.set(parameter, base);
      tf.tidy(() => {
        let value = base.clone();
        for (const { scale, changes } of loras) {
          const change = changes.get(parameter);
          if (change && scale !== 0) value = value.add(deltaOf(change, scale, parameter.diskShape));
        }
        parameter.assignFromDisk(value);
      });
      if (loras.some(({ changes }) => changes.has(parameter))) continue;
      base.dispose();
      this.#base.delete(parameter);
    }
  }
}

function requireScale(name: string, scale: number): void {
  if (!Number.isFinite(scale)) throw new RangeError(`LoRA "${name}": the scale is ${scale}; give a finite number.`);
}
