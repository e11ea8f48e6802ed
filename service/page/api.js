/** Calls to the service, and what it says when it refuses one. */

let key = "";

/** The API key that calls send from now on; it lives in this variable alone. */
export function setKey(value) {
  key = value;
}

export function hasKey() {
  return key !== "";
}

/** A refusal: the service's problem JSON, or what stands in for it. */
export class Problem extends Error {
  /**
   * @param {number} status 0 where there was no answer
   * @param {string} title
   * @param {string} detail a sentence for people
   * @param {?number} retryAfter seconds
   * @param {?string} id what the service's log calls the request
   */
  constructor(status, title, detail, retryAfter = null, id = null) {
    super(detail);
    Object.assign(this, { status, title, retryAfter, id });
  }
}

/** The absolute address of a call, wherever this page is mounted. */
export function address(path, parameters = {}) {
  const url = new URL(path, document.baseURI);
  url.hash = "";
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url;
}

/**
 * One call.
 *
 * @throws {Problem} it was refused, or nobody answered
 */
export async function call(path, { parameters, body, accept, signal } = {}) {
  const headers = {};
  if (key) headers["X-API-Key"] = key;
  if (accept) headers.Accept = accept;
  if (body) headers["Content-Type"] = body.type || "application/octet-stream";
  const request = { method: body ? "POST" : "GET", headers, body, signal };
  let answer;
  try {
    answer = await fetch(address(path, parameters), request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const detail = "The connection failed before an answer came. Is the service running?";
    throw new Problem(0, "No answer", detail);
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

async function problemOf(answer) {
  const found = await answer.json().catch(() => ({}));
  return new Problem(
    answer.status,
    found.title ?? `Error ${answer.status}`,
    found.detail ?? "Something between this page and the service answered in its place.",
    Number(answer.headers.get("Retry-After")) || null,
    answer.headers.get("X-Request-Id"),
  );
}

/** The stages of a `Server-Timing` header as [name, milliseconds]. */
export function stagesOf(answer) {
  const header = answer.headers.get("Server-Timing") ?? "";
  return [...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]);
}
