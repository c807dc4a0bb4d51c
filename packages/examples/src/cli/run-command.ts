import { nearestNames } from "@tfjs-diffusion/core/text";
import { HELP, readDrawArguments } from "./options/arguments.js";
import { printBackends } from "./commands/backends.js";
import { commandEnd } from "./command-errors.js";
import { convert } from "./commands/convert.js";
import { draw } from "./commands/draw.js";
import { edit, generate } from "./commands/generate.js";
import { inspect } from "./commands/inspect.js";
import { live } from "./commands/live.js";
import { profile } from "./commands/profile.js";
import { SHIPPED } from "./options/shipped.js";
import { UsageError } from "./options/usage-error.js";

/** The commands by their names, the first word of a command line. Any other word is a sentence to draw a face from. */
const COMMANDS: Readonly<Record<string, (args: string[]) => Promise<void>>> = {
  generate,
  edit,
  convert,
  inspect,
  live,
  profile,
  // Loaded when it is used: the libraries of a server are many.
  serve: async (args) => (await import("./commands/serve.js")).serve(args),
  worker: async (args) => (await import("./commands/worker.js")).worker(args),
};

/** Runs a command line and returns its exit code: 0 done, 1 failed, 2 wrong arguments, 130 interrupted. */
export async function runCommand(args: string[]): Promise<number> {
  try {
    await run(args);
    return 0;
  } catch (error) {
    const end = commandEnd(error);
    if (!end) throw error;
    if (end.message !== undefined) console.error(end.message);
    return end.code;
  }
}

async function run(args: string[]): Promise<void> {
  const [name = "", ...rest] = args;
  if (name === "backends" && rest.length === 0) return printBackends();
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name]!(rest);
  refuseMisspelt(name);
  const drawing = readDrawArguments(args);
  if (drawing === "help") console.log(HELP);
  else if (!("prompts" in drawing)) console.log(SHIPPED[drawing.words].words().join(" "));
  else await draw(drawing);
}

/** Short names are too similar to words that begin a sentence, as live is to lime. */
const LONG_NAMES = Object.keys(COMMANDS).filter((name) => name.length > 5);

/**
 * @throws UsageError for a word that is almost the name of a command. Drawn as a sentence, it would give a face and no
 *   hint at the mistake
 */
function refuseMisspelt(word: string): void {
  const [command] = nearestNames(word, LONG_NAMES, { letters: 1 });
  if (command === undefined) return;
  throw new UsageError(`${word}: no such command (nearest: ${command}). Put a sentence to draw in quotation marks.`);
}
