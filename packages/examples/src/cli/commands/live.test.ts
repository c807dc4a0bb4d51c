import { afterEach, describe, expect, it, jest } from "@jest/globals";
import { frame } from "./live.js";
import { runCommand } from "../run-command.js";

afterEach(() => void jest.restoreAllMocks());

async function complaints(...args: string[]) {
  const said: string[] = [];
  jest.spyOn(console, "error").mockImplementation((text: string) => void said.push(text));
  return { code: await runCommand(["live", ...args]), said: said.join("\n") };
}

describe("Drawing while one types", () => {
  it("refuses to start without a terminal, and says what to do instead", async () => {
    const { code, said } = await complaints();
    expect(code).toBe(2);
    expect(said).toMatch(/terminal that shows colours.*npm start -- "a bald man"/s);
  });

  it("refuses more steps than such a network needs", async () =>
    expect(await complaints("--steps", "9")).toMatchObject({ code: 2, said: expect.stringContaining("from 1 to 8") }));

  it("shows the picture from the top of the screen, then the prompt and the speed, each line cleared to its end", () => {
    const shown = frame("top\nbottom", { prompt: "a hat", seed: 3, steps: 2 }, { name: "wasm", milliseconds: 125 });
    expect(shown.startsWith("\x1b[Htop\x1b[K\r\nbottom\x1b[K\r\n")).toBe(true);
    expect(shown).toContain("> a hat_\x1b[K");
    expect(shown).toContain("seed 3, 2 steps: 125 ms, 8.0 pictures a second on wasm");
  });
});
