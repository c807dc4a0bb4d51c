import { describe, expect, it } from "@jest/globals";
import { downloadLine } from "./download-line.js";

describe("The line of a download", () => {
  it("shows the bytes, the speed and the file, redrawn in place at most ten times a second", () => {
    let written = "";
    let time = 0;
    const stream = { isTTY: true, write: (text: string) => (written += text) !== "" };
    const line = downloadLine("owner/name", stream, () => time)!;
    for (; time < 2000; time += 10) line.show({ file: "x.safetensors", received: time * 1e5, total: 2e8 });
    line.show({ file: "x.safetensors", received: 2e8, total: 2e8 });
    line.end();
    const shown = written.split("\r\x1b[K").slice(1);
    expect(shown).toHaveLength(21);
    expect(shown[10]).toBe(
      `owner/name ${"█".repeat(15)}${"░".repeat(15)} 100.0 MB of 200.0 MB, 100.0 MB/s  x.safetensors`,
    );
    expect(shown.at(-1)).toBe(`owner/name ${"█".repeat(30)} 200.0 MB of 200.0 MB, 100.0 MB/s  x.safetensors\n`);
  });

  it("is not shown if the output is not a terminal", () => {
    expect(downloadLine("owner/name", { isTTY: false, write: () => true })).toBeUndefined();
  });
});
