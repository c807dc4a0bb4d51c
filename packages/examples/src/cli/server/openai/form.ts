import type { MultipartFile } from "@fastify/multipart";
import type { FastifyRequest } from "fastify";
import { ApiError } from "../errors.js";
import { requirePicture } from "../sent-picture.js";

/** A form with files, as the edits and variations send it. */
export interface Form {
  /** The fields, with numbers and truth values read from their texts. */
  fields: Record<string, unknown>;
  /** The files' bytes by their fields' names. */
  files: Map<string, Buffer>;
}

/** Fields that are no texts: a form knows texts only. */
const NUMBERS = new Set(["n", "partial_images"]);
const FLAGS = new Set(["stream"]);

/**
 * Reads a form of `multipart/form-data`.
 *
 * @param names the files that it may have
 * @throws ApiError for anything else in it
 */
export async function readForm(request: FastifyRequest, names: readonly string[], mostPixels: number): Promise<Form> {
  if (!request.isMultipart()) {
    throw new ApiError(415, "Send a form: Content-Type multipart/form-data.", { code: "unsupported_media_type" });
  }
  const form: Form = { fields: {}, files: new Map() };
  try {
    for await (const part of request.parts()) {
      if (part.type === "file") await addFile(form, part, names, mostPixels);
      else addField(form, part.fieldname, part.value as string);
    }
    return form;
  } catch (error) {
    if (error instanceof ApiError || "statusCode" in (error as Error)) throw error;
    throw new ApiError(400, `The form cannot be read: ${(error as Error).message}.`, { code: "invalid_form" });
  }
}

function addField({ fields }: Form, name: string, text: string): void {
  if (Object.hasOwn(fields, name)) throw twice(name);
  fields[name] = NUMBERS.has(name) && /^-?\d+$/.test(text) ? Number(text) : text;
  if (FLAGS.has(name) && /^(true|false)$/.test(text)) fields[name] = text === "true";
}

async function addFile(
  { files }: Form,
  part: MultipartFile,
  names: readonly string[],
  mostPixels: number,
): Promise<void> {
  const name = part.fieldname.replace(/\[\]$/, "");
  if (!names.includes(name)) {
    throw new ApiError(400, `Unknown parameter: '${name}'.`, { param: name, code: "unknown_parameter" });
  }
  if (files.has(name)) throw twice(name);
  const bytes = await part.toBuffer();
  requirePicture(name, bytes, mostPixels);
  files.set(name, bytes);
}

function twice(param: string): ApiError {
  return new ApiError(400, `'${param}' is given more than once; only one can be used.`, {
    param,
    code: "invalid_value",
  });
}
