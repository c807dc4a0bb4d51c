import * as tf from "@tensorflow/tfjs";
import type { Model } from "../models/model.js";
import type { Parameter } from "../nn/parameter.js";
import { WeightsMismatchError } from "../weights/errors.js";
import type { BytesFrom } from "../weights/open-bytes.js";
import { openSafetensors, type SafetensorsFile } from "../weights/safetensors.js";
import { LoraModules, type LoraPart, loraTensor, type LoraTensor } from "./lora-names.js";

/** The networks that LoRAs are added to. */
export type LoraModels = Partial<Record<LoraPart, Model>>;

/** How strongly, and under which name, to add a LoRA. */
export interface LoadLoraOptions {
  /** Times the change that was learned, default 1; 0 changes nothing, below 0 it is turned round. */
  scale?: number;
  /** To change its scale or take it out again. Default "default". */
  name?: string;
}

/** A low-rank change of one weight. */
interface Change {
  parameter: Parameter;
  /** [rank, in] or [rank, in, height, width], as on disk. */
  down: tf.Tensor;
  /** [out, rank] or [out, rank, 1, 1] */
  up: tf.Tensor;
  /** alpha / rank, or 1 where the file says nothing. */
  factor: number;
}

/**
 * Low-rank adaptations (Hu et al. 2022) in the weights of networks: W' = W + sum of scale * alpha / rank * up down. Any
 * number at once, each with its scale. The weights as they were are kept, so that taking all out brings back their very bits.
 */
export class LoraSet {
  readonly #loras = new Map<string, { scale: number; changes: Change[] }>();
  readonly #original = new Map<Parameter, tf.Tensor>();

  constructor(readonly models: LoraModels) {}

  /** Names and scales of those that are in. */
  get scales(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#loras].map(([name, { scale }]) => [name, scale]));
  }

  /**
   * Adds a LoRA: a safetensors file in the form of PEFT, of diffusers before it, or of kohya's scripts. All of the file is
   * checked before a weight changes.
   *
   * @throws WeightsMismatchError listing every tensor that belongs to no module, has no counterpart or another shape;
   *   RangeError on a name that is taken or a scale that is no number
   */
  async load(from: BytesFrom, { scale = 1, name = "default" }: LoadLoraOptions = {}): Promise<void> {
    requireScale(name, scale);
    if (this.#loras.has(name)) throw new RangeError(`A LoRA "${name}" is in already; give this one another name.`);
    const file = await openSafetensors(from);
    try {
      const changes = await readChanges(file, this.models);
      this.#loras.set(name, { scale, changes });
      this.#mix(changes.map(({ parameter }) => parameter));
    } finally {
      await file.close();
    }
  }

  /** Throws RangeError if there is no such LoRA, or on a scale that is no number. */
  setScale(name: string, scale: number): void {
    requireScale(name, scale);
    const lora = this.#get(name);
    lora.scale = scale;
    this.#mix(lora.changes.map(({ parameter }) => parameter));
  }

  /** Takes one out, or all; with none left the weights have their old bits. */
  unload(name?: string): void {
    for (const each of name === undefined ? [...this.#loras.keys()] : [name]) {
      const { changes } = this.#get(each);
      this.#loras.delete(each);
      this.#mix(changes.map(({ parameter }) => parameter));
      disposeChanges(changes);
    }
  }

  /** Makes the weights as they are now the networks' own, and forgets LoRAs and old weights: less memory, no way back. */
  fuse(): void {
    for (const { changes } of this.#loras.values()) disposeChanges(changes);
    this.#loras.clear();
    tf.dispose([...this.#original.values()]);
    this.#original.clear();
  }

  #get(name: string) {
    const lora = this.#loras.get(name);
    if (lora) return lora;
    const known = [...this.#loras.keys()].join(", ") || "none";
    throw new RangeError(`There is no LoRA "${name}" in these networks; there is: ${known}.`);
  }

  /** Computes these weights anew from the old ones and all changes. */
  #mix(parameters: readonly Parameter[]): void {
    for (const parameter of parameters) {
      const original = this.#original.get(parameter) ?? tf.keep(parameter.toDisk());
      this.#original.set(parameter, original);
      const active = [...this.#loras.values()].flatMap(({ scale, changes }) =>
        changes.filter((change) => change.parameter === parameter && scale !== 0).map((change) => ({ change, scale })),
      );
      tf.tidy(() => {
        const value = active.reduce((sum, { change, scale }) => sum.add(deltaOf(change, scale)), original.clone());
        parameter.assignFromDisk(value);
      });
      if (![...this.#loras.values()].some(({ changes }) => changes.some((change) => change.parameter === parameter))) {
        original.dispose();
        this.#original.delete(parameter);
      }
    }
  }
}

/** scale * alpha / rank * up down, in the shape of the weight on disk: a convolution's kernel is a matrix [out, in height width]. */
function deltaOf({ parameter, down, up, factor }: Change, scale: number): tf.Tensor {
  const rank = down.shape[0];
  const product = tf.matMul(up.reshape([-1, rank]), down.reshape([rank, -1]));
  return product.mul(scale * factor).reshape(parameter.diskShape);
}

async function readChanges(file: SafetensorsFile, models: LoraModels): Promise<Change[]> {
  const present = Object.entries(models) as [LoraPart, Model][];
  const modules = new Map(present.map(([part, model]) => [part, new LoraModules(model)]));
  const groups = new Map<string, Partial<Record<LoraTensor["role"], string>> & { target: LoraTensor }>();
  const problems: string[] = [];
  for (const stored of file.tensors.keys()) {
    const target = loraTensor(stored, modules);
    if (!target) problems.push(`${stored} changes no module of ${[...modules.keys()].join(", ") || "any network"}`);
    else {
      const key = `${target.part} ${target.parameter}`;
      const group = groups.get(key) ?? { target };
      if (group[target.role]) problems.push(`${stored} and ${group[target.role]} are both for ${key}`);
      groups.set(key, { ...group, [target.role]: stored });
    }
  }
  const parameterOf = ({ part, parameter }: LoraTensor) => models[part]!.namedParameters().get(parameter)!;
  for (const { target, down, up } of groups.values()) {
    if (!down || !up) problems.push(`${target.part} ${target.parameter}: its ${down ? "up" : "down"} half is missing`);
    else problems.push(...shapeProblems(file, down, up, parameterOf(target)));
  }
  if (problems.length > 0 || groups.size === 0) {
    throw new WeightsMismatchError(
      `${file.name}: not a LoRA of these networks (${problems.length} problems; LoHa, LoKr and DoRA are not read).` +
        problems.map((problem) => `\n  ${problem}`).join(""),
    );
  }
  const changes: Change[] = [];
  try {
    for (const { target, down, up, alpha } of groups.values()) {
      const rank = file.tensors.get(down!)!.shape[0]!;
      const stated = alpha === undefined ? alphaOf(file, target.part) : Number((await file.read(alpha))[0]);
      const factor = (stated ?? rank) / rank;
      changes.push({
        ...{ parameter: parameterOf(target), factor },
        down: await readTensor(file, down!),
        up: await readTensor(file, up!),
      });
    }
    return changes;
  } catch (error) {
    disposeChanges(changes);
    throw error;
  }
}

function shapeProblems(file: SafetensorsFile, down: string, up: string, parameter: Parameter): string[] {
  const [downShape, upShape] = [file.tensors.get(down)!.shape, file.tensors.get(up)!.shape];
  const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  const [out = 0, ...rest] = parameter.diskShape;
  const rank = downShape[0] ?? 0;
  const fits = rank > 0 && size(upShape) === out * rank && size(downShape) === rank * size(rest) && upShape[0] === out;
  if (fits) return [];
  return [
    `${down} [${downShape.join(", ")}] and ${up} [${upShape.join(", ")}] do not make the weight's [${parameter.diskShape.join(", ")}]`,
  ];
}

/** PEFT keeps alpha in the file's metadata, as diffusers writes it; one for all modules of a network. */
function alphaOf({ metadata }: SafetensorsFile, part: LoraPart): number | undefined {
  const settings = JSON.parse(metadata.lora_adapter_metadata ?? "{}") as Record<string, unknown>;
  const alpha = settings[`${part}.lora_alpha`];
  return typeof alpha === "number" ? alpha : undefined;
}

async function readTensor(file: SafetensorsFile, name: string): Promise<tf.Tensor> {
  return tf.tensor((await file.read(name)) as Float32Array, [...file.tensors.get(name)!.shape], "float32");
}

function disposeChanges(changes: readonly Change[]): void {
  for (const { down, up } of changes) tf.dispose([down, up]);
}

function requireScale(name: string, scale: number): void {
  if (!Number.isFinite(scale)) throw new RangeError(`LoRA "${name}": the scale is ${scale}; give a finite number.`);
}
