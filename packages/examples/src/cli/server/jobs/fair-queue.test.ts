import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { FairQueue } from "./fair-queue.js";

describe("FairQueue", () => {
  it("takes the clients' jobs in turn", () => {
    const queue = new FairQueue<string>();
    for (const job of ["a1", "a2", "a3", "a4", "b1", "c1", "b2"]) queue.push(job[0]!, job);
    const order = Array.from({ length: 7 }, () => queue.take());
    expect(order).toEqual(["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
    expect(queue.take()).toBeUndefined();
  });

  it("lets a new client wait for one job of each other at most, whatever was done before", () => {
    const action = fc.oneof(
      fc.record({ type: fc.constant("push" as const), client: fc.constantFrom("a", "b", "c") }),
      fc.constant({ type: "take" as const }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const queue = new FairQueue<string>();
        for (const each of actions) {
          if (each.type === "push") queue.push(each.client, each.client);
          else queue.take();
        }
        const others = ["a", "b", "c"].filter((client) => queue.size(client) > 0).length;
        queue.push("new", "new");
        const taken: (string | undefined)[] = [];
        do taken.push(queue.take());
        while (taken.at(-1) !== "new");
        expect(taken.length).toBeLessThanOrEqual(others + 1);
        expect(new Set(taken).size).toBe(taken.length);
      }),
    );
  });

  it("removes a job, counts what is left, and forgets clients without jobs", () => {
    const queue = new FairQueue<number>();
    queue.push("a", 1);
    queue.push("a", 2);
    queue.push("b", 3);
    expect(queue.remove("a", 2)).toBe(true);
    expect(queue.remove("a", 2)).toBe(false);
    expect([queue.size("a"), queue.size("b"), queue.size()]).toEqual([1, 1, 2]);
    expect(queue.clear()).toEqual([1, 3]);
    expect([queue.size("a"), queue.size()]).toEqual([0, 0]);
  });
});
