import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { entriesOf, modelPackages } from "./model-packages.mjs";

describe("The npm packages of the trained models", () => {
  it("are those of the portraits and the faces", () => {
    expect(modelPackages).toEqual(["faces", "portraits"]);
  });

  it.each(modelPackages)("list all files of the model (else run node scripts/model-packages.mjs): %s", (name) => {
    for (const { file, text } of entriesOf(name)) expect(readFileSync(file, "utf8").replace(/\r\n/g, "\n")).toBe(text);
  });
});
