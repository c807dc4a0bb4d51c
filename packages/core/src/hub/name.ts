const PART = "[A-Za-z0-9](?:[\\w.-]*[A-Za-z0-9_])?";
const NAME = new RegExp(`^${PART}/${PART}$`);

/** Whether a text can be a model's name on the hub, "owner/name". */
export function isHubName(text: string): boolean {
  return NAME.test(text) && text.length <= 96 && !/--|\.\./.test(text);
}
