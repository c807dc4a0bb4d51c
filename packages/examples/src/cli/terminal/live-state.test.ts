import { describe, expect, it } from "@jest/globals";
import { afterKey, type Key, LatestOnly, type LiveState } from "./live-state.js";

const START: LiveState = { prompt: "", seed: 0, steps: 4 };
const typed = (text: string): Key[] => [...text].map((letter) => ({ text: letter, name: letter }));
const press = (keys: Key[], state = START) =>
  keys.reduce<LiveState | undefined>((s, key) => s && afterKey(s, key), state);

describe("What is typed while it draws", () => {
  it("is the prompt, from which backspace takes a letter, Ctrl-W a word and Ctrl-U all", () => {
    const words = typed("a red hat 😀");
    expect(press(words)!.prompt).toBe("a red hat 😀");
    expect(press([...words, { name: "backspace" }])!.prompt).toBe("a red hat ");
    expect(press([...words, { name: "backspace" }, { name: "w", ctrl: true }])!.prompt).toBe("a red ");
    expect(press([...words, { name: "u", ctrl: true }])!.prompt).toBe("");
    expect(press([{ name: "backspace" }])).toEqual(START);
  });

  it("accepts pasted text", () => expect(press([{ text: "a man" }])!.prompt).toBe("a man"));

  it("changes the noise by up and down and the steps by left and right, within their bounds", () => {
    expect(press([{ name: "up" }, { name: "up" }, { name: "down" }])!.seed).toBe(1);
    expect(press([{ name: "down" }])!.seed).toBe(0);
    expect(press(Array<Key>(20).fill({ name: "left" }))!.steps).toBe(1);
    expect(press(Array<Key>(20).fill({ name: "right" }))!.steps).toBe(8);
  });

  it.each([
    [{ name: "tab", text: "\t" }],
    [{ name: "x", ctrl: true, text: "\x18" }],
    [{ name: "f1" }],
    [{ name: "b", meta: true, text: "b" }],
    [{ name: "return", text: "\r" }],
  ])("is not changed by %j", (key) => expect(afterKey(START, key)).toEqual(START));

  it.each([[{ name: "escape" }], [{ name: "c", ctrl: true }], [{ name: "d", ctrl: true }]])("ends by %j", (key) =>
    expect(afterKey(START, key)).toBeUndefined(),
  );
});

describe("Work on the latest only", () => {
  it("skips values that were replaced while it was busy, and ends with the newest", async () => {
    const done: number[] = [];
    let release = () => {};
    const worker = new LatestOnly<number>((value) => {
      done.push(value);
      return new Promise((resolve) => (release = resolve));
    });
    const end = worker.push(1);
    for (const value of [2, 3, 4]) void worker.push(value);
    release();
    await new Promise(setImmediate);
    expect(done).toEqual([1, 4]);
    release();
    await end;
    const again = worker.push(5);
    release();
    await again;
    expect(done).toEqual([1, 4, 5]);
  });

  it("rejects for all who wait when it fails, and can go on", async () => {
    let fails = true;
    const worker = new LatestOnly<number>(() => (fails ? Promise.reject(new Error("no")) : Promise.resolve()));
    await expect(worker.push(1)).rejects.toThrow("no");
    fails = false;
    await worker.push(2);
  });
});
