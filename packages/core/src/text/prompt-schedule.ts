/** The text of a prompt up to a step of the drawing. */
export interface ScheduledPrompt {
  /** The last step with this text; steps are counted from 1. */
  lastStep: number;
  prompt: string;
}

/**
 * Parses prompt editing, in the syntax of AUTOMATIC1111's web UI: `[a:b:8]` is `a` for 8 steps, then `b`; `[b:8]` and
 * `[:b:8]` are nothing, then `b`; `[a::8]` is `a`, then nothing; in `[a|b]`, `a` and `b` alternate with each step. A
 * number with a decimal point, such as `0.5`, is a share of the steps, rounded down. All forms can be nested. Round
 * brackets, `[word]`, and characters after a backslash stay unchanged, for {@link parsePromptWeights}.
 *
 * A bracket that is not closed, or that has any other content, is text. The whole prompt is text if it has a `|`
 * outside of such brackets, or a backslash at the end.
 *
 * @param steps the number of steps of the drawing, 1 or more
 * @returns the texts in the order of the steps; the last text's `lastStep` is `steps`
 */
export function promptSchedule(prompt: string, steps: number): ScheduledPrompt[] {
  const nodes = new ScheduleParser(prompt).parse();
  if (!nodes) return [{ lastStep: steps, prompt }];
  const ends = new Set([steps, ...changesIn(nodes, steps)]);
  return [...ends].sort((a, b) => a - b).map((lastStep) => ({ lastStep, prompt: textAt(nodes, lastStep, steps) }));
}

/** A part of a prompt that looks like prompt editing and is read as text, if there is one. */
export function unreadEditing(scheduled: string): string | undefined {
  return /(?<!\\)\[[^[\]]*(?:\|[^[\]]*|:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*)\]/.exec(scheduled)?.[0];
}

/** A text, alternating texts, or a text that changes once. */
type Node = string | { inTurn: Node[][] } | { before: Node[]; after: Node[]; when: string };

const PLAIN = /(?:[^\\[\]():|]|\\[^\n])+/y;
const WHEN_END = /\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\]/y;

/** Parsed nodes, and the position after them. */
type Parsed = { nodes: Node[]; end: number };

/**
 * The grammar of prompt_parser.py in the web UI:
 *
 *     start: (prompt | /[][():]/+)*
 *     prompt: (emphasized | scheduled | alternate | plain)*
 *     emphasized: "(" prompt ")" | "(" prompt ":" prompt ")" | "[" prompt "]"
 *     scheduled: "[" [prompt ":"] prompt ":" NUMBER "]"
 *     alternate: "[" prompt ("|" [prompt])+ "]"
 *     plain: /([^\\\[\]():|]|\\.)+/
 */
class ScheduleParser {
  constructor(readonly text: string) {}

  /** Undefined if the text does not follow the grammar. */
  parse(): Node[] | undefined {
    const nodes: Node[] = [];
    for (let at = 0; at < this.text.length;) {
      const { nodes: own, end } = this.#prompt(at);
      for (const node of own) nodes.push(node); // There may be too many for the arguments of a call.
      at = end;
      if (at === this.text.length) break;
      if (!"[]():".includes(this.text[at]!)) return undefined;
      nodes.push(this.text[at++]!);
    }
    return nodes;
  }

  /** Parses a prompt as far as it follows the grammar. */
  #prompt(at: number): Parsed {
    const nodes: Node[] = [];
    for (;;) {
      const next = this.#bracket(at) ?? this.#plain(at);
      if (!next) return { nodes, end: at };
      for (const node of next.nodes) nodes.push(node);
      at = next.end;
    }
  }

  #plain(at: number): Parsed | undefined {
    const plain = matchAt(PLAIN, this.text, at)?.[0];
    return plain === undefined ? undefined : { nodes: [plain], end: at + plain.length };
  }

  #bracket(at: number): Parsed | undefined {
    const { text } = this;
    const opening = text[at];
    if (opening !== "(" && opening !== "[") return undefined;
    const first = this.#prompt(at + 1);
    const closing = opening === "(" ? ")" : "]";
    if (text[first.end] === closing) return { nodes: [opening, ...first.nodes, closing], end: first.end + 1 };
    if (opening === "[" && text[first.end] === "|") return this.#inTurn(first);
    if (text[first.end] !== ":") return undefined;
    if (opening === "[") return this.#change([], first) ?? this.#change(first.nodes, this.#prompt(first.end + 1));
    const second = this.#prompt(first.end + 1);
    if (text[second.end] !== ")") return undefined;
    return { nodes: ["(", ...first.nodes, ":", ...second.nodes, ")"], end: second.end + 1 };
  }

  #inTurn(first: Parsed): Parsed | undefined {
    const inTurn = [first.nodes];
    let { end } = first;
    while (this.text[end] === "|") {
      const next = this.#prompt(end + 1);
      inTurn.push(next.nodes);
      end = next.end;
    }
    return this.text[end] === "]" ? { nodes: [{ inTurn }], end: end + 1 } : undefined;
  }

  #change(before: Node[], { nodes: after, end }: Parsed): Parsed | undefined {
    const found = this.text[end] === ":" ? matchAt(WHEN_END, this.text, end + 1) : undefined;
    return found && { nodes: [{ before, after, when: found[1]! }], end: end + 1 + found[0].length };
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

/** The last step before the change; below 1 if the text changes before the first step. */
function lastBefore(when: string, steps: number): number {
  return Math.min(steps, Math.trunc(when.includes(".") ? Number(when) * steps : Number(when)));
}

/** The steps after which a text may change. */
function changesIn(nodes: readonly Node[], steps: number): number[] {
  return nodes.flatMap((node) => {
    if (typeof node === "string") return [];
    if ("inTurn" in node) return Array.from({ length: steps }, (_, i) => i + 1);
    const last = lastBefore(node.when, steps);
    return [...(last >= 1 ? [last] : []), ...changesIn(node.before, steps), ...changesIn(node.after, steps)];
  });
}

function textAt(nodes: readonly Node[], step: number, steps: number): string {
  const parts = nodes.map((node) => {
    if (typeof node === "string") return node;
    if ("inTurn" in node) return textAt(node.inTurn[(step - 1) % node.inTurn.length]!, step, steps);
    return textAt(step <= lastBefore(node.when, steps) ? node.before : node.after, step, steps);
  });
  return parts.join("");
}
