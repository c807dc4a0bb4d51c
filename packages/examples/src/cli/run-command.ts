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

/** What the first word of a command line may ask for; anything else is a sentence to draw a face from. */
const COMMANDS: Readonly<Record<string, (args: string[]) => Promise<void>>> = {
  generate,
  edit,
  convert,
  inspect,
  live,
  profile,
};

/** Follows a command line and returns its exit code: 0 done, 1 not possible here, 2 not understood, 130 interrupted. */
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

/** Short words are near too many others that a sentence may begin with, as lime is near live. */
const UNMISTAKABLE = Object.keys(COMMANDS).filter((name) => name.length > 5);

/**
 * @throws UsageError for a word that is almost a command: drawn as a sentence, it would give a face and no hint of what
 * was wrong
 */
function refuseMisspelt(word: string): void {
  const [command] = nearestNames(word, UNMISTAKABLE, { letters: 1 });
  if (command === undefined) return;
  throw new UsageError(
    `${word}: there is no such command (nearest: ${command}). A sentence to draw is written in quotation marks.`,
  );
}
