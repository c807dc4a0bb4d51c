import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Mutation } from "./mutations.js";

/** What became of a mutant: a check failed, the program threw or never ended, or nothing noticed it. */
export type Fate = "check" | "error" | "time" | "survived";

/** A chapter's program for the process that executes mutants (`mutant-process.ts`), and its answer. */
export interface MutantProgram {
  readonly name: string;
  readonly text: string;
}
export interface MutantResult {
  readonly fate: Exclude<Fate, "time">;
  readonly message?: string;
}

const PROGRAM = fileURLToPath(new URL("mutant-process.js", import.meta.url));

/** Executes changed chapters, one after another, in a process that is started again where one never ends. */
export class MutantRunner {
  private child: ChildProcess | undefined;

  /** @param limitMs after so long, a mutant counts as one that never ends */
  async run(program: MutantProgram, limitMs: number): Promise<{ fate: Fate; message?: string }> {
    this.child ??= fork(PROGRAM, { execArgv: ["--no-warnings"], stdio: ["ignore", "ignore", "inherit", "ipc"] });
    const child = this.child;
    child.send(program);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<{ fate: "time" }>((resolve) => {
      timer = setTimeout(() => resolve({ fate: "time" }), limitMs);
    });
    const answer = once(child, "message").then(([result]) => result as MutantResult);
    const exit = once(child, "exit").then((): MutantResult => ({ fate: "error", message: "the process ended" }));
    const result = await Promise.race([answer, exit, limit]);
    clearTimeout(timer);
    if (result.fate === "time" || child.exitCode !== null) this.close();
    return result;
  }

  close(): void {
    this.child?.kill("SIGKILL");
    this.child = undefined;
  }
}

/** The text with one change made. */
export function mutate(text: string, { start, end, text: replacement }: Mutation): string {
  return text.slice(0, start) + replacement + text.slice(end);
}
