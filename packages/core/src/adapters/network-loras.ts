import * as tf from "@tensorflow/tfjs";
import type { Parameter } from "../nn/parameter.js";
import { changeOf, disposeChanges, type LoraChanges } from "./lora-change.js";
import { type LoraScale, scaleOf } from "./lora-scale.js";

/**
 * The LoRAs in the weights of one network: W' = W + sum of dW(scale), where each dW is computed from the original
 * weight. The original weights are kept, and removing all LoRAs restores them bit for bit.
 */
export class NetworkLoras {
  readonly #loras = new Map<string, { scale: LoraScale; changes: LoraChanges }>();
  /** The weights that the LoRAs are added to. */
  readonly #base = new Map<Parameter, tf.Tensor>();
  /** The weights before anything was fused. */
  readonly #beforeFuse = new Map<Parameter, tf.Tensor>();

  /** Names and scales of the LoRAs. */
  get scales(): [name: string, scale: LoraScale][] {
    return [...this.#loras].map(([name, { scale }]) => [name, scale]);
  }

  has(name: string): boolean {
    return this.#loras.has(name);
  }

  /** Adds a LoRA. Takes ownership of `changes`, which are of parameters of this network. */
  add(name: string, scale: LoraScale, changes: LoraChanges): void {
    this.#loras.set(name, { scale, changes });
    this.#mix(changes.keys());
  }

  setScale(name: string, scale: LoraScale): void {
    const lora = this.#loras.get(name)!;
    lora.scale = scale;
    this.#mix(lora.changes.keys());
  }

  remove(name: string): void {
    const { changes } = this.#loras.get(name)!;
    this.#loras.delete(name);
    this.#mix(changes.keys());
    disposeChanges(changes);
  }

  fuse(forGood: boolean): void {
    for (const [parameter, base] of this.#base) {
      if (forGood || this.#beforeFuse.has(parameter)) base.dispose();
      else this.#beforeFuse.set(parameter, base);
    }
    this.#base.clear();
    this.#forgetLoras();
    if (forGood) forget(this.#beforeFuse);
  }

  unfuse(): void {
    for (const [parameter, old] of this.#beforeFuse) {
      this.#base.get(parameter)?.dispose();
      this.#base.set(parameter, old);
    }
    const changed = [...this.#beforeFuse.keys()];
    this.#beforeFuse.clear();
    this.#mix(changed);
  }

  /** Frees the kept weights. The network's weights do not change. */
  dispose(): void {
    this.#forgetLoras();
    forget(this.#base);
    forget(this.#beforeFuse);
  }

  #forgetLoras(): void {
    for (const { changes } of this.#loras.values()) disposeChanges(changes);
    this.#loras.clear();
  }

  /** Recomputes these weights from the original ones and all changes. */
  #mix(parameters: Iterable<Parameter>): void {
    const loras = [...this.#loras.values()];
    for (const parameter of parameters) {
      const base = this.#base.get(parameter) ?? tf.keep(parameter.toDisk());
      this.#base.set(parameter, base);
      tf.tidy(() => {
        let value = base.clone();
        for (const { scale, changes } of loras) {
          const change = changes.get(parameter);
          const own = change ? scaleOf(scale, change.part, change.name) : 0;
          if (change && own !== 0) value = value.add(changeOf(change, base, own));
        }
        parameter.assignFromDisk(value);
      });
      if (loras.some(({ changes }) => changes.has(parameter))) continue;
      base.dispose();
      this.#base.delete(parameter);
    }
  }
}

function forget(weights: Map<Parameter, tf.Tensor>): void {
  tf.dispose([...weights.values()]);
  weights.clear();
}
