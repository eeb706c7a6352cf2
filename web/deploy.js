// The form that deploys: a definition, what it would change, and how its deployment goes.
import { call, get, pathOf, post } from "./api.js";
import { action, announce, badge, card, field, h, replace } from "./dom.js";
import { findField, planView, refusalView, waitingView } from "./plan.js";

const examples = {
  "a command": { id: "/hello", cmd: "while true; do date; sleep 1; done", cpus: 0.1, mem: 32, instances: 1,
    networks: [{ mode: "container/bridge" }] },
  "a web service": { id: "/web", cmd: "mkdir -p www && echo hello from $MESOS_TASK_ID > www/index.html && cd www && exec python3 -m http.server 8080",
    cpus: 0.1, mem: 64, instances: 2, networks: [{ mode: "container/bridge" }],
    container: { type: "MESOS", portMappings: [{ containerPort: 8080, hostPort: 0 }] },
    healthChecks: [{ protocol: "MESOS_HTTP", path: "/", portIndex: 0, intervalSeconds: 2, gracePeriodSeconds: 30 }],
    labels: { HAPROXY_GROUP: "external", HAPROXY_0_VHOST: "web.example" } },
  "an image": { id: "/from-image", cpus: 0.2, mem: 128, instances: 1, networks: [{ mode: "container/bridge" }],
    container: { type: "MESOS", docker: { image: "registry.example:5000/team/app:1.0" },
      portMappings: [{ containerPort: 80, hostPort: 0 }] } },
};
const pretty = (json) => JSON.stringify(json, null, 2);
const lastWordsBytes = 2000;

/// What was typed stays while the page is open, for each application.
const drafts = new Map();

const derived = new Set(["tasks", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "deployments", "version",
  "versionInfo", "lastTaskFailure", "readinessCheckResults"]);

async function definitionOf(id) {
  const { app } = await get(pathOf(id));
  return pretty(Object.fromEntries(Object.entries(app).filter(([name]) => !derived.has(name))));
}

/// `id` is "" for a new application.
export async function deploy(session, id) {
  if (!drafts.has(id)) drafts.set(id, id ? await definitionOf(id) : pretty(examples["a command"]));
  const query = (force) => {
    const words = [id && "partialUpdate=false", force && "force=true"].filter(Boolean);
    return words.length ? `?${words.join("&")}` : "";
  };
  const text = h("textarea", { id: "definition", rows: "18", spellcheck: "false", autocapitalize: "none",
    "aria-describedby": "definition-hint", oninput: () => drafts.set(id, text.value) });
  text.value = drafts.get(id);
  const result = h("div", { "aria-live": "polite", class: "result" });
  const goTo = (path) => {
    const place = findField(text.value, path);
    text.focus();
    if (place) text.setSelectionRange(...place);
  };
  const problem = h("div");
  // What was asked last is shown: an earlier deployment is not followed any more.
  let turn = 0;
  const begin = () => {
    session.watch = null;
    return ++turn;
  };
  // Another deployment holds the application: whoever knows better may cancel it.
  const refuse = (refused) => replace(result, refusalView(refused, goTo), refused.status === 409 &&
    h("div", { class: "actions" }, action("Cancel that deployment and go on", problem, () => run(true)),
      h("a", { class: "button", href: "#/deployments" }, "See the deployments")));
  const read = () => {
    try {
      return JSON.parse(text.value);
    } catch (wrong) {
      refuse({ title: "This is no JSON", message: wrong.message, fields: [] });
      return null;
    }
  };
  const planned = async (force) => {
    const body = read();
    if (body === null) return null;
    try {
      return { body, plan: await post(`/smack/v1/apps/plan${query(force)}`, body) };
    } catch (refused) {
      refuse(refused);
      return null;
    }
  };
  const check = async () => {
    begin();
    const made = await planned(true);
    if (made) replace(result, h("h2", null, "What would change"), planView(made.plan));
  };
  const run = async (force) => {
    const mine = begin();
    const made = await planned(force);
    if (!made) return;
    if (made.plan.effect === "none") return replace(result, planView(made.plan));
    const target = made.plan.app;
    try {
      const answer = made.plan.effect === "create" ? await call("POST", `/v2/apps${query(force)}`, made.body)
        : await call("PUT", pathOf(target) + query(force), made.body);
      drafts.delete(id);
      // Not waited for: meanwhile the definition can be changed and deployed again.
      const begun = { id: answer.deploymentId ?? answer.deployments?.[0]?.id, version: answer.version };
      follow(session, target, begun, result, () => turn === mine).catch(refuse);
    } catch (refused) {
      refuse(refused);
    }
  };
  return [
    h("h1", null, id ? `Change ${id}` : "Deploy an application"),
    h("p", { class: "lead" }, id ? h("a", { href: `#/apps${id}` }, "Back to the application") : h("a", { href: "#/apps" }, "All applications")),
    card(null,
      h("form", { class: "deploy", onsubmit: (event) => event.preventDefault() },
        !id && exampleChooser((chosen) => {
          text.value = pretty(examples[chosen]);
          drafts.set(id, text.value);
        }),
        h("label", { for: "definition" }, "Definition"), text,
        h("p", { id: "definition-hint", class: "hint" }, "Marathon\u2019s JSON. ", h("kbd", null, "Tab"), " leaves the text."),
        h("div", { class: "actions" }, action("Check", problem, check), action(id ? "Change" : "Deploy", problem, () => run(false), { class: "primary" })),
        problem, result)),
  ];
}

function exampleChooser(choose) {
  const select = field("Begin with", "select", { id: "example", onchange: (event) => event.target.value && choose(event.target.value) });
  select.lastChild.append(h("option", { value: "" }, "an example\u2026"), ...Object.keys(examples).map((name) => h("option", { value: name }, name)));
  return select;
}

function progressWords(app) {
  const words = [`${app.tasksRunning} of ${app.instances} running`];
  if (app.tasksStaged) words.push(`${app.tasksStaged} starting`);
  if (app.healthChecks?.length) words.push(`${app.tasksHealthy} healthy`);
  return words.join(", ");
}

function heading(id, over, same) {
  if (!over) return [badge("deploying", "warn"), ` ${id}`];
  return same ? [badge("done", "good"), ` ${id} is deployed`]
    : [badge("ended", "warn"), ` ${id} was changed otherwise meanwhile, or went back to what it was`];
}

/// Shows a deployment until it is over or not `wanted()` any more, each time that something changes.
async function follow(session, id, begun, result, wanted) {
  let told = "";
  const look = async () => {
    const [{ app }, { queue }] = await Promise.all([get(pathOf(id)), get("/v2/queue")]);
    const waiting = queue.find((item) => item.app.id === id);
    const over = !app.deployments.some((one) => one.id === begun.id);
    const words = progressWords(app);
    if (words !== told) announce(`${id}: ${words}`);
    told = words;
    const failure = !over && app.lastTaskFailure?.version === app.version ? await failureView(app.lastTaskFailure) : null;
    if (!wanted() || !result.isConnected) return true;
    replace(result,
      h("h2", null, heading(id, over, app.version === begun.version)),
      h("progress", { max: Math.max(1, app.instances), value: app.healthChecks?.length ? app.tasksHealthy : app.tasksRunning,
        "aria-label": "Tasks that run" }), h("p", { role: "status" }, `${words}.`),
      !over && waiting && waitingView(waiting, `Waiting for ${waiting.count} more`),
      failure,
      h("p", null, h("a", { href: `#/apps${id}` }, "To the application")));
    return over;
  };
  if (await look()) return;
  await new Promise((done, failed) => {
    let busy = false;
    let again = false;
    session.watch = async () => {
      again = true;
      if (busy) return;
      busy = true;
      try {
        while (again) {
          again = false;
          if (!await look()) continue;
          if (wanted()) session.watch = null;
          done();
          break;
        }
      } catch (refused) {
        if (wanted()) session.watch = null;
        failed(refused);
      }
      busy = false;
    };
    session.watch(); // what changed since the first look
  });
}

/// The last failure with what the task wrote last, where its log can be read here.
export async function failureView(failure) {
  const path = `/smack/v1/tasks/${encodeURIComponent(failure.taskId ?? "")}/log/stderr?length=${lastWordsBytes}`;
  let words = "";
  try {
    const { end } = await get(`${path}&offset=0`);
    words = (await get(`${path}&offset=${Math.max(0, end - lastWordsBytes)}`)).text.trimEnd();
  } catch {
    words = ""; // on another node, or gone
  }
  return h("div", { class: "notice bad" }, h("strong", null, "The last failure"),
    h("p", null, failure.message || failure.state),
    words && h("pre", { class: "log short", tabindex: "0", "aria-label": "What it wrote last" }, words));
}
