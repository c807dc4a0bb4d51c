import type { FastifyError } from "fastify";
import { DrawRequestError, QueueClosedError, QueueFullError } from "./jobs/draw-job.js";
import { ApiError, ClientGone } from "./errors.js";

/** nginx's status for requests whose client does not wait for the answer; only the metrics show it. */
const CLIENT_GONE = 499;

/** The validator's words for what is wrong with a value, as this server says them. */
function validationError({ validation }: FastifyError): ApiError {
  const { instancePath, keyword, params, message = "is wrong" } = validation![0]!;
  const inside = instancePath.slice(1).replaceAll("/", ".");
  const at = (name: unknown) => [inside, String(name)].filter(Boolean).join(".");
  if (keyword === "additionalProperties") {
    const param = at(params.additionalProperty);
    return new ApiError(400, `Unknown parameter: '${param}'.`, { param, code: "unknown_parameter" });
  }
  if (keyword === "required") {
    const param = at(params.missingProperty);
    return new ApiError(400, `Missing required parameter: '${param}'.`, { param, code: "missing_required_parameter" });
  }
  const allowed =
    keyword === "enum" ? `: ${(params.allowedValues as unknown[]).map((v) => JSON.stringify(v)).join(", ")}` : "";
  const param = inside || "body";
  return new ApiError(400, `Invalid value for '${param}': it ${message}${allowed}.`, { param, code: "invalid_value" });
}

/** What any error of a request is to its client. Errors of this program say nothing of its inside. */
export function apiErrorOf(error: FastifyError | Error): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ClientGone) return new ApiError(CLIENT_GONE, error.message);
  if (error instanceof DrawRequestError) {
    const [, param] = /^([a-zA-Z]+)[:,]/.exec(error.message) ?? [];
    return new ApiError(400, error.message, { code: "invalid_value", ...(param !== undefined && { param }) });
  }
  if (error instanceof QueueFullError) {
    return new ApiError(429, error.message, { code: "rate_limit_exceeded", retryAfter: error.retryAfter });
  }
  if (error instanceof QueueClosedError)
    return new ApiError(503, error.message, { code: "unavailable", retryAfter: 5 });
  if ("validation" in error && error.validation) return validationError(error);
  const { statusCode = 500, message } = error as FastifyError;
  if (statusCode >= 400 && statusCode < 500) return new ApiError(statusCode, message, { code: "bad_request" });
  return new ApiError(500, "The picture could not be drawn; the server's log says why.", { code: "server_error" });
}
