import type { Attribute } from "../datasets/faces/index.js";
import type { Setting } from "./context.js";
import { percent } from "../src/percent.js";
import {
  attributesRight,
  cleanBackgrounds,
  type Judged,
  picturesRight,
  shareOf,
  skews,
  storedJudgements,
  type Count,
} from "./request-scores.js";
import { REQUESTS, type RequestSet } from "./requests.js";
import type { ResultStore } from "./store.js";

const SETS = Object.keys(REQUESTS) as RequestSet[];
const SHOWN_SKEWS = 8;

/** The tables of a finished measurement. */
export async function requestsMarkdown(
  store: ResultStore,
  count: number,
  settings: readonly Setting[],
  command: string,
): Promise<string> {
  const results = await Promise.all(
    settings.map(async (setting) => {
      const sets = SETS.map(async (name) => [name, await storedJudgements(store, name, count, setting)] as const);
      return { setting, judged: Object.fromEntries(await Promise.all(sets)) as Record<RequestSet, Judged[]> };
    }),
  );
  const columns = results.map(({ setting }) => `guidance ${setting.guidance}, ${setting.steps} steps`);
  const row = (title: string, cell: (judged: Record<RequestSet, Judged[]>) => string) =>
    `| ${title} | ${results.map(({ judged }) => cell(judged)).join(" | ")} |`;
  const colors = (name: Attribute, judged: Record<RequestSet, Judged[]>) =>
    shown(attributesRight([...judged.seen, ...judged["held-out"]], name));
  return `${count} prompts a row of a grammar that no model was trained on, one seed, DDIM, judged by the nearest
portrait. Command: ${command}. Each cell: attributes as requested / pictures with all of them (95 % interval).

| prompts | ${columns.join(" | ")} |
|---|${columns.map(() => "---|").join("")}
${SETS.map((name) => row(name, (judged) => both(judged[name]))).join("\n")}
${row("colour of hair, in full prompts", (judged) => colors("hairColor", judged))}
${row("colour of hat, in full prompts", (judged) => colors("hatColor", judged))}
${row("plain backgrounds that are clean", ({ plain }) => shown(cleanBackgrounds(plain)))}
${row("most skewed where it is not named (short prompts): drawn, data", ({ short }) =>
  skews(short)
    .slice(0, SHOWN_SKEWS)
    .map(({ value, attribute, drawn, data }) => `${attribute} ${value} ${points(drawn)}, ${points(data)}`)
    .join("; "),
)}
`;
}

const points = (share: number) => (100 * share).toFixed(0);

const both = (judged: readonly Judged[]) =>
  `${percent(shareOf(attributesRight(judged)))} / ${shown(picturesRight(judged))}`;

/** A share with Wilson's 95 % interval (1927). */
function shown({ right, of }: Count): string {
  if (of === 0) return "";
  const [p, z] = [right / of, 1.96];
  const middle = (p + z ** 2 / (2 * of)) / (1 + z ** 2 / of);
  const half = (z * Math.sqrt((p * (1 - p)) / of + z ** 2 / (4 * of ** 2))) / (1 + z ** 2 / of);
  return `${percent(p)} (${points(middle - half)}–${points(middle + half)})`;
}
