import { afterEach, describe, expect, it } from "@jest/globals";
import { argumentsOf } from "./tasks.mjs";

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
