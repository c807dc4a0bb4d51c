import { MessageChannel, Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "@jest/globals";
import { HubError } from "../hub/errors.js";
import { NonFiniteResultError } from "../pipelines/drawing/errors.js";
import { PipelineOptionError } from "../pipelines/options/errors.js";
import { DisposedError } from "../platform/disposed.js";
import { eventLoopTurn } from "../platform/event-loop.js";
import type { ErrorClass } from "./carried-errors.js";
import { serveTasks, type TaskContext, type Tasks } from "./serve-tasks.js";
import { SupersededError, WorkerClient } from "./worker-client.js";

let closing: { close(): void }[] = [];
afterEach(() => {
  for (const each of closing) each.close();
  closing = [];
});

/** A client of tasks that run in this thread, at the other end of a channel. */
function clientOf<T extends Tasks>(tasks: T, options?: { errors?: readonly ErrorClass[] }): WorkerClient<T> {
  const { port1, port2 } = new MessageChannel();
  serveTasks(tasks, port2);
  const client = new WorkerClient<T>(port1, options);
  closing.push(client);
  return client;
}

/** Counts up to `n`, a turn of the event loop each, unless it is stopped. */
function counting() {
  const log: string[] = [];
  const tasks = {
    async count({ name, n }: { name: string; n: number }, { signal, report }: TaskContext<number>): Promise<string> {
      log.push(`${name} begins`);
      for (let i = 1; i <= n; i++) {
        await new Promise((resolve) => setTimeout(resolve));
        signal.throwIfAborted();
        report(i);
      }
      log.push(`${name} ends`);
      return name;
    },
  };
  return { log, client: clientOf(tasks) };
}

describe("A call of a worker's task", () => {
  it("gives back a copy of the result, after all that was reported", async () => {
    const numbers = Float32Array.of(1, 2, 3);
    const client = clientOf({
      double(x: Float32Array, { report }: TaskContext<number>) {
        x.forEach((value) => report(value));
        return { doubled: x.map((value) => 2 * value) };
      },
    });
    const reported: number[] = [];
    const { doubled } = await client.call("double", numbers, { onProgress: (value) => reported.push(value) });
    expect(doubled).toEqual(Float32Array.of(2, 4, 6));
    expect(reported).toEqual([1, 2, 3]);
    expect(numbers).toEqual(Float32Array.of(1, 2, 3));
  });

  it("waits for the calls before it", async () => {
    const { log, client } = counting();
    const calls = ["a", "b", "c"].map((name) => client.call("count", { name, n: 2 }));
    expect(await Promise.all(calls)).toEqual(["a", "b", "c"]);
    expect(log).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  });

  it("that is stopped rejects at once with the signal's reason, and does not hold up the next", async () => {
    const { log, client } = counting();
    const [running, waiting] = [new AbortController(), new AbortController()];
    const reason = new Error("enough");
    const onProgress = (i: number) => {
      if (i === 2) running.abort(reason);
    };
    const calls = [
      client.call("count", { name: "running", n: 1e9 }, { signal: running.signal, onProgress }),
      client.call("count", { name: "waiting", n: 1 }, { signal: waiting.signal }),
      client.call("count", { name: "next", n: 1 }),
      client.call("count", { name: "never sent", n: 1 }, { signal: AbortSignal.abort(reason) }),
    ];
    waiting.abort();
    const results = await Promise.allSettled(calls);
    expect(results.map((result) => (result.status === "fulfilled" ? result.value : (result.reason as Error)))).toEqual([
      reason,
      expect.objectContaining({ name: "AbortError" }),
      "next",
      reason,
    ]);
    expect(log).toEqual(["running begins", "next begins", "next ends"]);
  });

  it("of the latest kind stops the one before", async () => {
    const { log, client } = counting();
    const count = client.latest("count");
    const names = ["a", "b", "c", "d"];
    const calls = names.map((name) => count({ name, n: 3 }));
    const results = await Promise.allSettled(calls);
    expect(results.at(-1)).toEqual({ status: "fulfilled", value: "d" });
    for (const result of results.slice(0, -1)) {
      expect(result).toMatchObject({ status: "rejected", reason: expect.any(SupersededError) });
    }
    expect(log).toEqual(["d begins", "d ends"]);
    const stop = new AbortController();
    const stopped = count({ name: "e", n: 1e9 }, { signal: stop.signal });
    stop.abort(new Error("by hand"));
    await expect(stopped).rejects.toThrow("by hand");
  });

  it("refuses what a message cannot carry, on both sides", async () => {
    const client = clientOf({ make: (_: unknown) => () => 1, take: (_: unknown) => 2 });
    await expect(client.call("take", () => 1)).rejects.toMatchObject({ name: "DataCloneError" });
    await expect(client.call("make", 1)).rejects.toMatchObject({ name: "DataCloneError" });
    expect(await client.call("take", 1)).toBe(2);
  });

  it("of a task that is not there names those that are", async () => {
    const client = clientOf({ draw: () => 1, load: () => 2 }) as WorkerClient<Record<string, () => number>>;
    const called = client.call("drew", undefined);
    await expect(called).rejects.toThrow(RangeError);
    await expect(called).rejects.toThrow('The worker has no task "drew" (nearest: draw); its tasks are draw, load.');
    await expect(client.call("toString", undefined)).rejects.toThrow('no task "toString"');
  });
});

describe("An error of a worker's task", () => {
  class OwnError extends Error {
    override name = "OwnError";
    constructor(readonly needed: { length: number }) {
      super(`needs ${needed.length}`);
    }
  }
  class StrangeError extends Error {
    override name = "StrangeError";
  }
  const thrown: Record<string, unknown> = {
    option: new PipelineOptionError("width: 3"),
    finite: new NonFiniteResultError("Step 4", 3),
    hub: new HubError("rate-limited", "slow down", { isTemporary: true, retryAfter: 5 }),
    type: new TypeError("not a function", { cause: new RangeError("why") }),
    own: new OwnError([1, 2]),
    strange: new StrangeError("who knows"),
    text: "just a text",
  };
  const fail = async (name: string) => {
    const tasks = {
      fail(which: string): void {
        throw thrown[which];
      },
    };
    const error: unknown = await clientOf(tasks, { errors: [OwnError, HubError] })
      .call("fail", name)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Error);
    return error as Error;
  };

  it("keeps its class, message, fields, stack and cause", async () => {
    const option = await fail("option");
    expect(option).toBeInstanceOf(PipelineOptionError);
    expect(option).toBeInstanceOf(RangeError);
    expect(option).toMatchObject({ name: "PipelineOptionError", message: "width: 3" });
    expect(option.stack).toBe((thrown["option"] as Error).stack);
    expect(await fail("finite")).toMatchObject({ step: 3 });
    expect(await fail("finite")).toBeInstanceOf(NonFiniteResultError);
    expect(await fail("hub")).toMatchObject({ failure: "rate-limited", isTemporary: true, retryAfter: 5 });
    const type = await fail("type");
    expect(type).toBeInstanceOf(TypeError);
    expect(type.cause).toBeInstanceOf(RangeError);
    expect(type.cause).toMatchObject({ message: "why" });
  });

  it("of a class that the page was given is of that class; of an unknown one, it keeps the name", async () => {
    expect(await fail("own")).toBeInstanceOf(OwnError);
    expect(await fail("own")).toMatchObject({ message: "needs 2" });
    expect(await fail("strange")).toMatchObject({ name: "StrangeError", message: "who knows" });
    expect(await fail("text")).toMatchObject({ name: "Error", message: "just a text" });
  });
});

describe("A worker's client that is at its end", () => {
  it("rejects what has not ended, and every later call", async () => {
    const { client } = counting();
    const call = client.call("count", { name: "a", n: 1e9 });
    client.close();
    await expect(call).rejects.toThrow(DisposedError);
    await expect(client.call("count", { name: "b", n: 1 })).rejects.toThrow("make a new one, with a new worker");
  });

  it("says so if the worker fails, or ends", async () => {
    const begun = (script: string) => new WorkerClient<{ draw: () => void }>(new Worker(script, { eval: true }));
    await expect(begun("throw new RangeError('no wasm')").call("draw", undefined)).rejects.toThrow(
      "The worker failed: no wasm",
    );
    await expect(begun("process.exit(3)").call("draw", undefined)).rejects.toThrow("The worker ended with code 3.");
  });

  it("ignores the messages of others", async () => {
    const { port1, port2 } = new MessageChannel();
    serveTasks({ one: () => 1 }, port2);
    const client = new WorkerClient<{ one: () => number }>(port1);
    closing.push(client);
    for (const message of [null, "hot update", { id: 1 }, { kind: "reload", id: 1 }]) {
      port1.postMessage(message);
      port2.postMessage(message);
    }
    await eventLoopTurn();
    expect(await client.call("one", undefined)).toBe(1);
  });
});
