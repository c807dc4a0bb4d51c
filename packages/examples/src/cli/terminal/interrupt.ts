import { TrainingInterruptedError } from "@tfjs-diffusion/core/training";

/**
 * Runs `body` with a signal that the first Ctrl-C (SIGINT) or SIGTERM aborts, so that training saves and stops; a
 * second one ends the process at once. Prints how far training came and sets exit code 130 (143 for SIGTERM).
 *
 * @returns true when `body` ran to its end, false when it was interrupted
 */
export async function stopOnInterrupt(body: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
  const controller = new AbortController();
  const exitCodes = { SIGINT: 130, SIGTERM: 143 };
  const stop = (name: NodeJS.Signals): void => {
    const code = exitCodes[name as keyof typeof exitCodes];
    if (controller.signal.aborted) process.exit(code);
    process.exitCode = code;
    console.error(`\n${name}: stopping after this step (a second one stops at once).`);
    controller.abort();
  };
  for (const name of Object.keys(exitCodes)) process.on(name, stop);
  try {
    await body(controller.signal);
    return !controller.signal.aborted;
  } catch (error) {
    if (!(error instanceof TrainingInterruptedError)) throw error;
    console.error(error.message);
    return false;
  } finally {
    for (const name of Object.keys(exitCodes)) process.off(name, stop);
  }
}
