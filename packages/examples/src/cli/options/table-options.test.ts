import { describe, expect, it } from "@jest/globals";
import type { Option } from "@tfjs-diffusion/core/pipelines";
import { STABLE_DIFFUSION_OPTIONS } from "@tfjs-diffusion/core/pipelines";
import { helpLine, TABLE, tableValue } from "./table-options.js";
import { UsageError } from "./usage-error.js";

describe("The options of the library's table", () => {
  const flags = (table: Readonly<Record<string, Option<unknown>>>) =>
    Object.values(table).flatMap(({ flag }) => (flag ? [flag.usage.split(" ")[0]!] : []));

  it("are all offered, by the names that the table gives them", () => {
    expect(Object.keys(TABLE).map((name) => `--${name}`)).toEqual(flags(TABLE));
    expect(flags(TABLE).sort()).toEqual(flags(STABLE_DIFFUSION_OPTIONS).sort());
  });

  it("have the table's limits and help", () => {
    expect(tableValue("steps", "1000")).toBe(1000);
    expect(() => tableValue("steps", "1001")).toThrow(UsageError);
    expect(() => tableValue("clip-skip", "-1")).toThrow(/^--clip-skip -1: expected a whole number from 0 to 100\.$/);
    expect(() => tableValue("rescale", "2")).toThrow(/^--rescale 2: expected a number from 0 to 1\.$/);
    expect(tableValue("negative", undefined)).toBeUndefined();
    expect(helpLine("steps", 12, " (default 20)")).toBe("  --steps N   steps from noise to picture (default 20)");
  });
});
