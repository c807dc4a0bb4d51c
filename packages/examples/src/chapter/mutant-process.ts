/**
 * Executes chapters that its parent sends, and answers whether one of their checks fails. All run in one process, so
 * that TensorFlow.js starts only once; what a chapter leaves in its memory is freed after it.
 */
import * as tf from "@tensorflow/tfjs";
import { CheckError } from "./errors.js";
import { beginChapter } from "./exercise.js";
import type { MutantProgram, MutantResult } from "./mutants.js";
import { importProgram } from "./run.js";
import { withoutOutput } from "./sink.js";

let count = 0;

async function fateOf({ name, text }: MutantProgram): Promise<MutantResult> {
  beginChapter(name);
  tf.engine().startScope();
  try {
    await withoutOutput(() => importProgram(name, text, `mutant-${process.pid}-${++count}`));
    return { fate: "survived" };
  } catch (error) {
    return { fate: error instanceof CheckError ? "check" : "error", message: (error as Error).message };
  } finally {
    tf.engine().endScope();
  }
}

process.on("message", (program: MutantProgram) => {
  void fateOf(program).then((result) => process.send!(result));
});
