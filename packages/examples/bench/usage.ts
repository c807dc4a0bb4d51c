import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** The options and words of this program. Prints `help` and ends it if they ask for that, or are wrong. */
export function readArguments<O extends Options>(
  help: string,
  options: O,
): ReturnType<typeof parseArgs<{ allowPositionals: true; options: O }>> {
  const all = { ...options, help: { type: "boolean", short: "h" } } as const;
  try {
    const read = parseArgs({ allowPositionals: true, options: all });
    const isAsked = (read.values as { help?: boolean }).help === true;
    if (!isAsked) return read;
    console.log(help);
  } catch (error) {
    refuse((error as Error).message);
  }
  process.exit();
}

/** Ends the program with a message, as wrong arguments do. */
export function refuse(message: string): never {
  console.error(`${message}\nRun it with --help to see all options.`);
  process.exit(2);
}
