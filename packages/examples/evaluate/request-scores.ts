import { keyedRandom } from "@tfjs-diffusion/schedulers";
import {
  ATTRIBUTES,
  type Attribute,
  attributesAsked,
  type Face,
  faceExample,
  isAsAsked,
  PORTRAIT_ATTRIBUTE_NAMES,
  visible,
} from "../datasets/faces/index.js";
import { PORTRAITS, renderVariants } from "../datasets/portraits/index.js";
import { drawn, type Sampler, type Setting } from "./context.js";
import { type Fit, nearestPortrait } from "./nearest-portrait.js";
import { faceAsAsked, type Request, REQUESTS, type RequestSet } from "./requests.js";
import { packReading, unpackReading } from "./score.js";
import type { ResultStore } from "./store.js";

/** What was drawn for a request. */
export interface Judged {
  readonly request: Request;
  /** What the picture shows. */
  readonly shown: Partial<Face>;
  /** Share of the background's pixels that are off, see {@link backgroundFlaws}. */
  readonly flaws: number;
}

export interface RequestContext {
  readonly sample: Sampler;
  readonly store: ResultStore;
  readonly batch: number;
}

/** Draws a set of requests, or takes what was stored, and judges the pictures. */
export async function measureRequests(
  { sample, store, batch }: RequestContext,
  name: RequestSet,
  count: number,
  setting: Setting,
): Promise<Judged[]> {
  const requests = REQUESTS[name](count);
  const stored = await store.once(keyOf(name, count, setting), async () => {
    const judged: string[] = [];
    const texts = requests.map(({ text }) => text);
    const title = `${name}, guidance ${setting.guidance}, ${setting.steps} steps`;
    for await (const images of drawn({ sample, settings: { kind: PORTRAITS, batch } }, texts, setting, 1, title)) {
      const values = (await images.data()) as Float32Array;
      const length = values.length / images.shape[0];
      for (let at = 0; at < values.length; at += length) {
        const picture = values.subarray(at, at + length).map((value) => 255 * value);
        const fit = nearestPortrait(picture);
        judged.push(`${packReading(visible(fit.face))} ${backgroundFlaws(picture, fit).toFixed(3)}`);
      }
    }
    return judged;
  });
  return unpacked(requests, stored);
}

/** What {@link measureRequests} stored; undefined if it has not measured this yet. */
export async function storedJudgements(store: ResultStore, name: RequestSet, count: number, setting: Setting) {
  const missing = () => Promise.reject(new Error(`${name} was not measured at guidance ${setting.guidance}.`));
  return unpacked(REQUESTS[name](count), await store.once<string[]>(keyOf(name, count, setting), missing));
}

const keyOf = (name: RequestSet, count: number, { guidance, steps }: Setting) =>
  `${name}, ${count}, guidance ${guidance}, steps ${steps}`;

const unpacked = (requests: readonly Request[], stored: readonly string[]): Judged[] =>
  requests.map((request, i) => {
    const [reading, flaws] = stored[i]!.split(" ") as [string, string];
    return { request, shown: unpackReading(reading), flaws: Number(flaws) };
  });

/** A background pixel is off if one of its channels differs by more than this share of the way from black to white. */
const OFF = 0.06;

/** The share of the pixels behind the figure that are off from the nearest portrait's background. */
export function backgroundFlaws(
  picture: ArrayLike<number>,
  { face, variants }: Pick<Fit, "face" | "variants">,
): number {
  const own = renderVariants(face, variants);
  const other = renderVariants({ ...face, background: face.background === "black" ? "white" : "black" }, variants);
  let [off, all] = [0, 0];
  for (let at = 0; at < own.length; at += 3) {
    const channels = [at, at + 1, at + 2];
    if (channels.every((k) => own[k] === other[k])) continue; // The figure.
    all++;
    if (channels.some((k) => Math.abs(own[k]! - picture[k]!) > OFF * 255)) off++;
  }
  return off / all;
}

/** Counts of attributes and pictures that are as requested. */
export interface Count {
  readonly right: number;
  readonly of: number;
}

export const shareOf = ({ right, of }: Count) => right / of;

/** Attributes that are as requested; `only` counts one attribute alone. */
export function attributesRight(judged: readonly Judged[], only?: Attribute): Count {
  const verdicts = judged.flatMap(({ request, shown }) =>
    attributesAsked(request.asked)
      .filter((name) => only === undefined || name === only)
      .map((name) => isAsAsked(request.asked, shown, name)),
  );
  return { right: verdicts.filter(Boolean).length, of: verdicts.length };
}

/** Pictures in which all attributes are as requested. */
export function picturesRight(judged: readonly Judged[]): Count {
  const right = judged.filter(({ request: { asked }, shown }) =>
    attributesAsked(asked).every((name) => isAsAsked(asked, shown, name)),
  );
  return { right: right.length, of: judged.length };
}

/** A plain background is clean if at most a twentieth of it is off. */
export function cleanBackgrounds(judged: readonly Judged[]): Count {
  return { right: judged.filter(({ flaws }) => flaws <= 0.05).length, of: judged.length };
}

/** How often a value is drawn where its attribute is not named, and how often data of the same requests show it. */
export interface Skew {
  readonly attribute: Attribute;
  readonly value: string;
  readonly drawn: number;
  readonly data: number;
}

/** Faces of the data for each request: enough that their shares are exact to a point. */
const FACES_A_REQUEST = 40;

/** The skew of every value of what is not named, the largest first. */
export function skews(judged: readonly Judged[]): Skew[] {
  const real = judged.map(({ request }, i) =>
    Array.from({ length: FACES_A_REQUEST }, (_, k) => visible(faceAsAsked(request, keyedRandom(601, i, k)))),
  );
  const share = (faces: Partial<Face>[], attribute: Attribute, value: string) => {
    const shown = faces.filter((face) => face[attribute] !== undefined);
    return shown.filter((face) => face[attribute] === value).length / shown.length;
  };
  return PORTRAIT_ATTRIBUTE_NAMES.flatMap((attribute) => {
    const open = [...judged.keys()].filter((i) => judged[i]!.request.asked[attribute] === undefined);
    const [drawn, data] = [open.map((i) => judged[i]!.shown), open.flatMap((i) => real[i]!)];
    return ATTRIBUTES[attribute].map((value) => ({
      attribute,
      value,
      drawn: share(drawn, attribute, value),
      data: share(data, attribute, value),
    }));
  }).sort((a, b) => Math.abs(b.drawn - b.data) - Math.abs(a.drawn - a.data));
}

/** How well the judge reads real pictures, half of them of held-out combinations. */
export function judgeReal(count: number): string {
  const wrong = new Map<Attribute, number>();
  let exact = 0;
  for (let i = 0; i < count; i++) {
    const { face, pixels } = faceExample(i, { seed: 701, split: i % 2 ? "seen" : "held-out", kind: PORTRAITS });
    const fit = nearestPortrait(pixels);
    if (fit.distance === 0) exact++;
    const [shown, read] = [visible(face), visible(fit.face)];
    for (const name of PORTRAIT_ATTRIBUTE_NAMES) {
      if (shown[name] !== read[name]) wrong.set(name, (wrong.get(name) ?? 0) + 1);
    }
  }
  const mistakes = [...wrong].map(([name, times]) => `${name} ${times}`).join(", ");
  return `Of ${count} real pictures, the judge finds ${exact} exactly; attributes read wrong: ${mistakes || "none"}.`;
}
