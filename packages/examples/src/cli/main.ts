#!/usr/bin/env node
import {
  BackendUnavailableError,
  PipelineFolderError,
  WeightsFormatError,
  WeightsMismatchError,
  WeightsReadError,
} from "@tfjs-diffusion/core";
import { captionWords } from "../../datasets/faces/index.js";
import { HELP, readDrawArguments } from "./arguments.js";
import { printBackends } from "./backends.js";
import { DrawingStopped, draw } from "./draw.js";
import { inspect } from "./inspect.js";
import { OutputError } from "./output-file.js";
import { profile } from "./profile.js";
import { UsageError } from "./usage-error.js";

/** Errors whose message is all that there is to say. */
const EXPLAINED = [
  BackendUnavailableError,
  PipelineFolderError,
  OutputError,
  WeightsFormatError,
  WeightsMismatchError,
  WeightsReadError,
];

process.exitCode = await main(process.argv.slice(2));

/** Follows a command line and returns its exit code: 0 done, 1 not possible here, 2 not understood, 130 interrupted. */
async function main(args: string[]): Promise<number> {
  try {
    await run(args);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\nWith --help, all options are listed.`);
      return 2;
    }
    if (error instanceof DrawingStopped) return 130;
    const isExplained = EXPLAINED.some((kind) => error instanceof kind);
    if (!isExplained) throw error;
    console.error((error as Error).message);
    return 1;
  }
}

async function run(args: string[]): Promise<void> {
  if (args[0] === "backends" && args.length === 1) return printBackends();
  if (args[0] === "profile") return profile(args.slice(1));
  if (args[0] === "inspect") return inspect(args.slice(1));
  const drawing = readDrawArguments(args);
  if (drawing === "help") console.log(HELP);
  else if (drawing === "words") console.log(captionWords().join(" "));
  else await draw(drawing);
}
