import { afterEach, beforeEach, expect, it, jest } from "@jest/globals";
import { TrainingInterruptedError } from "@tfjs-diffusion/core/training";
import { stopOnInterrupt } from "./interrupt.js";

class Exit extends Error {
  constructor(readonly code: unknown) {
    super(`process.exit(${String(code)})`);
  }
}

let said: string;
beforeEach(() => {
  said = "";
  jest.spyOn(console, "error").mockImplementation((line: string) => void (said += line));
  jest.spyOn(process, "exit").mockImplementation((code) => {
    throw new Exit(code);
  });
});
afterEach(() => {
  process.exitCode = undefined;
  jest.restoreAllMocks();
});

const codes = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const;

it.each(codes)("aborts at the first %s, says so, and leaves exit code %d", async (name, code) => {
  const finished = await stopOnInterrupt((signal) => {
    process.emit(name, name);
    expect(signal.aborted).toBe(true);
    throw new TrainingInterruptedError("stopped after step 3", 3);
  });
  expect(finished).toBe(false);
  expect(process.exitCode).toBe(code);
  expect(process.exit).not.toHaveBeenCalled();
  expect(said).toBe(`\n${name}: stopping after this step (a second one stops at once).stopped after step 3`);
});

it.each(codes)("ends the process at once at a second %s", async (name, code) => {
  const twice = stopOnInterrupt(async () => {
    process.emit(name, name);
    process.emit(name, name);
  });
  await expect(twice).rejects.toMatchObject({ code });
});

it("returns true from a body that ends, passes other errors on, and listens no longer than the body runs", async () => {
  const before = process.listenerCount("SIGINT");
  expect(await stopOnInterrupt(async () => undefined)).toBe(true);
  await expect(stopOnInterrupt(() => Promise.reject(new Error("the disk is full")))).rejects.toThrow(
    "the disk is full",
  );
  expect(process.listenerCount("SIGINT")).toBe(before);
  expect(process.exitCode).toBeUndefined();
});
