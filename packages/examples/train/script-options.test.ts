import { describe, expect, it } from "@jest/globals";
import { UsageError } from "../src/cli/options/usage-error.js";
import { countOption, guidanceOption, kindOption, listOption, scriptOptions, stepsOption } from "./script-options.js";

const OPTIONS = { pictures: { type: "string", default: "8" }, quick: { type: "boolean", default: false } } as const;

describe("The options of a script", () => {
  it("are read from the command line, or have their defaults", () => {
    expect(scriptOptions(OPTIONS, [], []).options).toEqual({ pictures: "8", quick: false });
    const { options, word } = scriptOptions(OPTIONS, ["style", "decoder"], ["style", "--pictures", "3", "--quick"]);
    expect(options).toEqual({ pictures: "3", quick: true });
    expect(word).toBe("style");
  });

  it("are refused by name if unknown, and so are unexpected words", () => {
    expect(() => scriptOptions(OPTIONS, [], ["--picture", "3"])).toThrow(/--picture/);
    expect(() => scriptOptions(OPTIONS, [], ["3"])).toThrow(new UsageError('"3" is not an option of this script.'));
    expect(() => scriptOptions(OPTIONS, ["style"], ["style", "3"])).toThrow('"3" is not an option of this script.');
  });

  it.each([
    ["0", "--pictures 0: expected a whole number from 1 to 1000000."],
    ["many", "--pictures many: expected a whole number from 1 to 1000000."],
    ["", "--pictures : expected a whole number from 1 to 1000000."],
    ["1.5", "--pictures 1.5: expected a whole number from 1 to 1000000."],
  ])("are read before any work: %j pictures", (text, message) => {
    expect(() => countOption("pictures", text)).toThrow(new UsageError(message));
  });

  it("may be lists of values", () => {
    expect(listOption("guidance", "1,2.5,9", guidanceOption)).toEqual([1, 2.5, 9]);
    expect(() => listOption("guidance", "1,,9", guidanceOption)).toThrow(
      "--guidance : expected a number from 0 to 100.",
    );
    expect(() => listOption("steps", "20,1001", stepsOption)).toThrow("--steps 1001: expected a whole number");
  });

  it("name a data set", () => {
    expect(kindOption("portraits").size).toBe(32);
    expect(() => kindOption("cats")).toThrow(
      new UsageError("--kind cats: expected one of faces, portraits, portraits-1."),
    );
  });
});
