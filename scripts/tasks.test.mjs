import { afterEach, describe, expect, it } from "@jest/globals";
import { join } from "node:path";
import ts from "typescript";
import { root } from "./run.mjs";
import { argumentsOf, tasks } from "./tasks.mjs";

const agent = process.env.npm_config_user_agent;
afterEach(() => {
  if (agent === undefined) delete process.env.npm_config_user_agent;
  else process.env.npm_config_user_agent = agent;
});

describe("What a task is told", () => {
  it("is what follows the two dashes, which pnpm hands on", () => {
    process.env.npm_config_user_agent = "pnpm/10.34.9 npm/? node/v20.20.2 linux x64";
    expect(argumentsOf(["--", "--quick"])).toEqual(["--quick"]);
    expect(argumentsOf(["--quick", "--", "-x"])).toEqual(["--quick", "--", "-x"]);
  });

  it("is all of it under npm, which has taken its own dashes away", () => {
    process.env.npm_config_user_agent = "npm/10.8.2 node/v20.20.2 linux x64 workspaces/false";
    expect(argumentsOf(["--", "-x"])).toEqual(["--", "-x"]);
  });
});

describe("The programs that tasks run", () => {
  const folder = join(root, "packages", "examples");
  const { config } = ts.readConfigFile(join(folder, "tsconfig.json"), ts.sys.readFile);
  const compiled = ts.parseJsonConfigFileContent(config, ts.sys, folder).fileNames;
  const programs = Object.values(tasks).flatMap(({ program }) => program ?? []);

  it.each(programs)("are compiled: %s", (program) => {
    expect(compiled).toContain(join(folder, program.replace(/js$/, "ts")));
  });
});
