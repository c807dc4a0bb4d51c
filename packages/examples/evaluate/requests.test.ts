import { describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { CLIPTokenizer } from "@tfjs-diffusion/core";
import {
  ATTRIBUTES,
  type Attribute,
  attributesAsked,
  CONTEXT_LENGTH,
  END_OF_TEXT,
  isAsAsked,
  START_OF_TEXT,
  visible,
} from "../datasets/faces/index.js";
import { portraitVocabulary } from "../train/portraits/settings.js";
import { portrait2Vocabulary } from "../train/portraits-2/settings.js";
import { caption, PORTRAITS_2 } from "../datasets/portraits-2/index.js";
import { faceAsAsked, type Request, REQUESTS, type RequestSet } from "./requests.js";
import { attributesRight, type Judged, picturesRight, skews } from "./request-scores.js";

const SETS = Object.keys(REQUESTS) as RequestSet[];
const judgedAs = (requests: readonly Request[], faceOf: (request: Request, i: number) => Judged["shown"]): Judged[] =>
  requests.map((request, i) => ({ request, shown: faceOf(request, i), flaws: 0 }));

describe("Requests", () => {
  it.each(SETS)("are the same each time, and ask for something that a portrait can show: %s", (name) => {
    const requests = REQUESTS[name](30);
    expect(REQUESTS[name](30)).toEqual(requests);
    for (const [i, request] of requests.entries()) {
      const shown = visible(faceAsAsked(request, keyedRandom(1, i)));
      for (const attribute of attributesAsked(request.asked)) {
        expect([request.text, isAsAsked(request.asked, shown, attribute)]).toEqual([request.text, true]);
      }
    }
  });

  it("are in other words than the captions of training", () => {
    const captions = new Set(
      Array.from({ length: 3000 }, (_, i) => {
        const face = PORTRAITS_2.sample(keyedRandom(2, i));
        return caption(face, keyedRandom(3, i), "mixed").text;
      }),
    );
    const full = [...REQUESTS.seen(100), ...REQUESTS["held-out"](100)];
    expect(full.filter(({ text }) => captions.has(text))).toEqual([]);
  });

  it.each(["portraits", "portraits-2"] as const)("fit into the text towers of the %s", (model) => {
    const { vocab, merges } = model === "portraits" ? portraitVocabulary() : portrait2Vocabulary();
    const tokenizer = new CLIPTokenizer({
      vocab,
      merges: merges.split("\n").slice(1, -1),
      bosToken: START_OF_TEXT,
      eosToken: END_OF_TEXT,
    });
    for (const name of SETS) {
      for (const { text } of REQUESTS[name](60)) {
        const onTruncate = (cut: string) => expect([text, cut]).toEqual([text, ""]);
        tokenizer.encode(text, { maxLength: CONTEXT_LENGTH, onTruncate });
      }
    }
  });

  it("name the value that they ask for", () => {
    const words: Partial<Record<Attribute, readonly Attribute[]>> = { hatColor: ["hat"], hairColor: ["hair"] };
    for (const { text, asked } of REQUESTS["held-out hat + hair"](40)) {
      for (const name of Object.keys(words) as Attribute[]) expect(text).toContain(asked[name]![0]!);
    }
  });
});

describe("The scores of requests", () => {
  const requests = REQUESTS.short(60);
  const right = judgedAs(requests, (request, i) => visible(faceAsAsked(request, keyedRandom(5, i))));

  it("are full marks for faces as requested, and count each wrong attribute", () => {
    expect(picturesRight(right)).toEqual({ right: 60, of: 60 });
    const { of } = attributesRight(right);
    const [name] = attributesAsked(requests[0]!.asked);
    const wrong = ATTRIBUTES[name!].find((value) => !requests[0]!.asked[name!]!.includes(value));
    const first = { ...right[0]!, shown: { ...right[0]!.shown, [name!]: wrong } };
    expect(attributesRight([first, ...right.slice(1)])).toEqual({ right: of - 1, of });
    expect(picturesRight([first, ...right.slice(1)])).toEqual({ right: 59, of: 60 });
  });

  it("find no skew in the data itself, and find the value that is always drawn", () => {
    const many = REQUESTS.short(300);
    const data = judgedAs(many, (request, i) => visible(faceAsAsked(request, keyedRandom(6, i))));
    for (const { drawn, data: expected } of skews(data)) expect(Math.abs(drawn - expected)).toBeLessThan(0.1);
    const tanned = data.map((one) => ({ ...one, shown: { ...one.shown, skin: "tan" as const } }));
    expect(skews(tanned)[0]).toMatchObject({ attribute: "skin", drawn: 1 });
  });
});
