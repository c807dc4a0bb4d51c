import * as tf from "@tensorflow/tfjs";

/** Runs `load` without the console messages of TensorFlow.js: a second copy of it prints one for every kernel. */
export async function quietly<T>(load: () => T | Promise<T>): Promise<T> {
  const isTest = tf.env().getBool("IS_TEST");
  tf.env().set("IS_TEST", true);
  try {
    return await load();
  } finally {
    tf.env().set("IS_TEST", isTest);
  }
}

/** Suppresses the advertisement that the cpu backend prints in Node with its first tensor. */
export function silenceBanner(): void {
  const cpu = tf.findBackend("cpu") as unknown as { firstUse?: boolean } | null;
  if (cpu) cpu.firstUse = false;
}
