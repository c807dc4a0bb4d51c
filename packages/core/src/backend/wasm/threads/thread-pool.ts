import type * as WorkerThreads from "node:worker_threads";
import { isNode, requireFrom } from "../../../platform/node-only.js";
import type { Threads } from "../cut.js";

/**
 * The layout of a thread's slot in shared memory: the state of the call, the index of the function, the number of
 * arguments, and the arguments as float64.
 */
const SLOT = { bytes: 512, state: 0, name: 1, count: 2, firstArgument: 2 };
const IDLE = 0;
const CALLED = 1;
const FAILED = 2;

/** How often a thread checks the state before it sleeps: for some tenths of a millisecond. */
const LOOKS = 300_000;

/**
 * The code of a thread. After a call it checks for the next one for a while before it sleeps, because waking it takes
 * longer. It is plain JavaScript in a string: a function cannot be passed to a worker.
 */
const THREAD = `
const run = ({ module, memory, calls, number }) => {
  const state = new Int32Array(calls, number * ${SLOT.bytes});
  const values = new Float64Array(calls, number * ${SLOT.bytes});
  const functions = WebAssembly.Module.exports(module).map(({ name }) => name);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  for (;;) {
    for (let looks = 0, seen; (seen = Atomics.load(state, ${SLOT.state})) !== ${CALLED}; looks++) {
      if (looks > ${LOOKS}) Atomics.wait(state, ${SLOT.state}, seen);
    }
    let end = ${IDLE};
    try {
      const first = ${SLOT.firstArgument};
      exports[functions[state[${SLOT.name}]]](...values.subarray(first, first + state[${SLOT.count}]));
    } catch {
      end = ${FAILED};
    }
    Atomics.store(state, ${SLOT.state}, end);
    Atomics.notify(state, ${SLOT.state});
  }
};
`;
const IN_NODE = `const { parentPort, workerData } = require("node:worker_threads");${THREAD}parentPort.postMessage("ready"); run(workerData);`;
const IN_BROWSER = `${THREAD}onmessage = ({ data }) => { postMessage("ready"); run(data); };`;

/** Threads that run functions of one WebAssembly module, all on the same shared memory. */
export class ThreadPool implements Threads {
  readonly #functions: string[];
  readonly #states: Int32Array[];
  readonly #values: Float64Array[];

  private constructor(
    module: WebAssembly.Module,
    private readonly exports: Record<string, (...values: number[]) => unknown>,
    calls: SharedArrayBuffer,
    readonly count: number,
    /** Ends the other threads. */
    readonly end: () => void,
  ) {
    this.#functions = WebAssembly.Module.exports(module).map(({ name }) => name);
    const others = Array.from({ length: count - 1 }, (_, number) => number * SLOT.bytes);
    this.#states = others.map((from) => new Int32Array(calls, from, 3));
    this.#values = others.map((from) => new Float64Array(calls, from, SLOT.bytes / 8));
  }

  /**
   * Starts all threads except the calling one, which already has an `instance` of the module. The threads do not keep a
   * Node process alive.
   */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    { exports }: WebAssembly.Instance,
    threads: number,
  ): Promise<ThreadPool> {
    const calls = new SharedArrayBuffer(SLOT.bytes * (threads - 1));
    const others = Array.from({ length: threads - 1 }, (_, number) => startThread({ module, memory, calls, number }));
    const ends = await Promise.all(others);
    const functions = exports as Record<string, (...values: number[]) => unknown>;
    return new ThreadPool(module, functions, calls, threads, () => ends.forEach((end) => end()));
  }

  run(name: string, [own, ...others]: readonly (readonly number[])[]): void {
    const index = this.#functions.indexOf(name);
    others.forEach((values, i) => {
      const state = this.#states[i]!;
      state[SLOT.name] = index;
      state[SLOT.count] = values.length;
      this.#values[i]!.set(values, SLOT.firstArgument);
      Atomics.store(state, SLOT.state, CALLED);
      Atomics.notify(state, SLOT.state);
    });
    try {
      this.exports[name]!(...own!);
    } finally {
      others.forEach((_, i) => this.#waitFor(this.#states[i]!));
    }
    if (others.some((_, i) => this.#states[i]![SLOT.state] === FAILED))
      throw new Error(`${name} failed on another thread.`);
  }

  /** The main thread of a page must not sleep. */
  #waitFor(state: Int32Array): void {
    for (let looks = 0; Atomics.load(state, SLOT.state) === CALLED; looks++) {
      if (isNode && looks > LOOKS) Atomics.wait(state as Int32Array<SharedArrayBuffer>, SLOT.state, CALLED);
    }
  }
}

/** Resolves when the thread waits for calls, with a function that ends it. */
async function startThread(data: object): Promise<() => void> {
  if (isNode) {
    const { Worker } = (await requireFrom())("node:worker_threads") as typeof WorkerThreads;
    const worker = new Worker(IN_NODE, { eval: true, execArgv: [], workerData: data });
    await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    worker.unref();
    return () => void worker.terminate();
  }
  const url = URL.createObjectURL(new Blob([IN_BROWSER], { type: "text/javascript" }));
  try {
    const worker = new Worker(url);
    await new Promise((resolve, reject) => {
      worker.onmessage = resolve;
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(data);
    });
    return () => worker.terminate();
  } finally {
    URL.revokeObjectURL(url);
  }
}
