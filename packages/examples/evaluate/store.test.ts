import { afterAll, describe, expect, it } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ResultStore } from "./store.js";

const folder = mkdtempSync(join(tmpdir(), "eval-store-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const newFile = () => join(folder, String(files++), "results.json");
const fail = () => Promise.reject(new Error("measured again"));

describe("stored results", () => {
  it("are measured once, also by a later run", async () => {
    const path = newFile();
    expect(await new ResultStore(path, "model 1").once("a", async () => [1, 2])).toEqual([1, 2]);
    expect(await new ResultStore(path, "model 1").once("a", fail)).toEqual([1, 2]);
  });

  it("of another model are measured again", async () => {
    const path = newFile();
    await new ResultStore(path, "model 1").once("a", async () => 1);
    expect(await new ResultStore(path, "model 2").once("a", async () => 2)).toBe(2);
  });

  it("survive a measurement that fails", async () => {
    const path = newFile();
    const store = new ResultStore(path, "model 1");
    await store.once("a", async () => 1);
    await expect(store.once("b", fail)).rejects.toThrow("measured again");
    expect(await new ResultStore(path, "model 1").once("a", fail)).toBe(1);
  });
});
