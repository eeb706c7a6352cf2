// Talking to this server: JSON over fetch with the session cookie, and the live events.

/// What the server refused, with its code ("unauthenticated", "denied", ...) and its sentence. `fields` names what is
/// wrong where: [{path, errors}], as Marathon's routes do.
export class Refused extends Error {
  constructor(status, code, message, fields = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

export async function call(method, path, body) {
  const request = { method, credentials: "same-origin", headers: { Accept: "application/json" }, cache: "no-store" };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Refused(0, "unreachable", "This server does not answer. Is smackd running, and can you reach it?");
  }
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    answer = null;
  }
  if (response.ok) return answer ?? {};
  const error = answer?.error ?? {};
  const fields = Array.isArray(answer?.details) ? answer.details : [];
  const details = fields.flatMap((one) => one.errors.map((text) => ` ${one.path}: ${text}.`)).join("");
  const message = error.message ?? answer?.message;
  throw new Refused(response.status, error.code ?? (response.status === 401 ? "unauthenticated" : "error"),
    message ? message + details : `The server answered ${response.status}.`, fields);
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);

/// The address of an app: its id has slashes, which stay.
export const pathOf = (id) => `/v2/apps${id.split("/").map(encodeURIComponent).join("/")}`;

const kinds = ["cluster", "level", "epoch", "machine", "node", "user", "group", "rule", "setting", "token", "principal",
  "secret", "app", "app_group", "task", "deployment", "backoff", "capacity", "drain"];
const reopenAfterMs = 3000;

/// Follows the change feed. `on` has change(event), reset() and state("live" | "waiting" | "off"). Returns a function
/// that stops it. It begins after the revision `since`, without one now. After a broken connection the browser comes back by itself and sends the last id; after `end` and
/// after a refusal it does not, so we do, and let the page look around first.
export function follow(on, since = null) {
  let source = null;
  let timer = 0;
  const again = () => {
    source.close();
    on.state("waiting");
    on.reset();
    timer = setTimeout(open, reopenAfterMs);
  };
  const open = () => {
    source = new EventSource(`/smack/v1/events?${since ? `since=${since}` : "from=now"}`);
    since = null; // only at first: later the page has looked around anew
    source.onopen = () => on.state("live");
    source.onerror = () => (source.readyState === EventSource.CLOSED ? again() : on.state("waiting"));
    for (const kind of kinds) source.addEventListener(kind, (event) => on.change(JSON.parse(event.data)));
    source.addEventListener("reset", () => on.reset());
    source.addEventListener("end", again);
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
    on.state("off");
  };
}
