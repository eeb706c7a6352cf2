// Applications: what runs, why not, the logs of its tasks, and the form that deploys.
import { call, get } from "./api.js";
import { badge, card, errorBox, facts, h, replace, table } from "./dom.js";

const logBytes = 64 * 1024;
const logKept = 512 * 1024; // characters on the page

export async function apps(session, id) {
  return id ? one(session, id) : list();
}

export async function tasks() {
  const { tasks: rows } = await get("/v2/tasks");
  return [
    h("h1", null, "Tasks"),
    card(null, taskTable(rows, true, "Nothing runs.")),
  ];
}

function link(id) {
  return h("a", { href: `#/apps${id}` }, id);
}

/// What an app is at, in one word and its tone.
function state(app) {
  if (app.deployments.length) return badge("deploying", "warn");
  if (app.instances === 0) return badge("suspended");
  if (app.tasksUnhealthy) return badge("unhealthy", "bad");
  return app.tasksRunning >= app.instances ? badge("running", "good") : badge("waiting", "warn");
}

function what(app) {
  return app.container?.docker?.image ?? app.cmd ?? (app.args ?? []).join(" ");
}

async function list() {
  const { apps: rows } = await get("/v2/apps");
  return [
    h("h1", null, "Applications"),
    card(null, table("Applications", ["Application", "State", "Tasks", "CPUs", "Memory", "Runs"],
      rows.map((app) => [link(app.id), state(app), `${app.tasksRunning} of ${app.instances}`, app.cpus,
        `${app.mem} MiB`, h("code", null, short(what(app)))]),
      "Nothing is deployed yet. Paste a definition below, or: smackd app add FILE")),
    card("Deploy", deployForm("/v2/apps", "POST", example, (app) => { location.hash = `#/apps${app.id}`; })),
  ];
}

const example = JSON.stringify({ id: "/hello", cmd: "while true; do date; sleep 1; done", cpus: 0.1, mem: 32, instances: 1 },
  null, 2);

function short(text) {
  return text && text.length > 60 ? `${text.slice(0, 60)}\u2026` : text;
}

/// A text field for a definition, with what is wrong with it below.
function deployForm(path, method, text, done) {
  const field = h("textarea", { rows: "10", spellcheck: "false", "aria-label": "Definition in JSON" });
  field.value = text;
  const problem = h("div", { "aria-live": "polite" });
  const button = h("button", { type: "submit", class: "primary" }, method === "POST" ? "Deploy" : "Change");
  const submit = async (event) => {
    event.preventDefault();
    let body;
    try {
      body = JSON.parse(field.value);
    } catch (wrong) {
      replace(problem, errorBox({ title: "This is no JSON", message: wrong.message }));
      return;
    }
    button.disabled = true;
    replace(problem);
    try {
      done(await call(method, path, body));
    } catch (refused) {
      replace(problem, errorBox(refused));
    }
    button.disabled = false;
  };
  return h("form", { class: "deploy", onsubmit: submit }, field, problem, button);
}

async function one(session, id) {
  const path = `/v2/apps${id.split("/").map(encodeURIComponent).join("/")}`;
  const [{ app }, { queue }] = await Promise.all([get(path), get("/v2/queue")]);
  const waiting = queue.find((item) => item.app.id === app.id);
  const definition = Object.fromEntries(Object.entries(app).filter(([name]) => !derived.has(name)));
  return [
    h("h1", null, app.id, " ", state(app)),
    h("p", { class: "lead" }, h("a", { href: "#/apps" }, "All applications")),
    waiting && h("div", { class: "notice warn", role: "status" }, h("strong", null, `Waiting for ${waiting.count} more`),
      h("p", null, waiting.reason),
      waiting.nodes.map((node) => h("p", null, `${node.host}: ${node.text}`))),
    app.lastTaskFailure && h("div", { class: "notice bad", role: "status" }, h("strong", null, "The last failure"),
      h("p", null, app.lastTaskFailure.message || app.lastTaskFailure.state)),
    h("div", { class: "grid" },
      card("Application", facts([
        ["Runs", h("code", null, what(app))],
        ["Tasks", `${app.tasksRunning} of ${app.instances}`],
        ["Starting", app.tasksStaged || null],
        ["Healthy", app.healthChecks?.length ? app.tasksHealthy : null],
        ["Each", `${app.cpus} CPUs, ${app.mem} MiB`],
        ["Service ports", servicePorts(app).join(", ")],
        ["Version", app.version],
      ])),
      card("Change", actions(app, path))),
    card("Tasks", taskTable(app.tasks, false, "No task runs.")),
    card("Definition", deployForm(path, "PUT", JSON.stringify(definition, null, 2), () => {})),
  ];
}

const derived = new Set(["tasks", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "deployments", "version",
  "versionInfo", "lastTaskFailure", "readinessCheckResults"]);

function servicePorts(app) {
  const ports = app.container?.portMappings ?? [];
  return [...ports.map((port) => port.servicePort), ...(app.portDefinitions ?? []).map((port) => port.port)].filter(Boolean);
}

function actions(app, path) {
  const problem = h("div", { "aria-live": "polite" });
  const run = (method, target, body) => async () => {
    replace(problem);
    try {
      await call(method, target, body);
      if (method === "DELETE") location.hash = "#/apps";
    } catch (refused) {
      replace(problem, errorBox(refused));
    }
  };
  const button = (text, onclick) => h("button", { type: "button", onclick }, text);
  return h("div", { class: "actions" },
    button("One more", run("PUT", path, { instances: app.instances + 1 })),
    app.instances > 0 && button("One less", run("PUT", path, { instances: app.instances - 1 })),
    button("Restart", run("POST", `${path}/restart`)),
    button("Remove", run("DELETE", path)),
    problem);
}

function taskTable(rows, withApp, empty) {
  const headings = ["Task", ...(withApp ? ["Application"] : []), "State", "Node", "Ports", ""];
  return table("Tasks", headings, rows.map((task) => [
    h("code", null, task.id.split(".").slice(1).join(".").replace("instance-", "").slice(0, 13)),
    ...(withApp ? [link(task.appId)] : []),
    [badge(task.state.replace("TASK_", "").toLowerCase(), task.state === "TASK_RUNNING" ? "good" : "warn"), " ", health(task)],
    task.host, task.ports.join(", "),
    h("a", { href: `#/log/${encodeURIComponent(task.id)}` }, "Log")]), empty);
}

function health(task) {
  const results = task.healthCheckResults ?? [];
  if (!results.length) return null;
  const alive = results.every((result) => result.alive);
  const judged = results.some((result) => result.firstSuccess || result.lastFailure);
  return alive ? badge("healthy", "good") : badge(judged ? "unhealthy" : "checking", judged ? "bad" : "plain");
}

/// A task's output, which grows while the page is looked at.
export async function log(session, id) {
  const task = decodeURIComponent(id.replace(/^\//, ""));
  const screen = h("pre", { class: "log", tabindex: "0", "aria-label": "Output of the task" });
  const note = h("p", { class: "hint", role: "status" });
  const follow = async (stream) => {
    let offset = 0;
    while (screen.isConnected || offset === 0) {
      const piece = await get(`/smack/v1/tasks/${encodeURIComponent(task)}/log/${stream}?offset=${offset}` +
        `&length=${logBytes}&wait=${offset > 0}`);
      if (piece.text) {
        const atEnd = screen.scrollTop + screen.clientHeight >= screen.scrollHeight - 4;
        screen.append(piece.text);
        while (screen.textContent.length > logKept) screen.firstChild.remove();
        if (atEnd) screen.scrollTop = screen.scrollHeight;
      }
      if (piece.ended && piece.next === offset) {
        note.textContent = "The task has ended.";
        return;
      }
      if (piece.next === offset && offset === 0) await new Promise((resume) => setTimeout(resume, 500));
      offset = piece.next;
    }
  };
  const begin = (stream) => {
    replace(screen);
    follow(stream).catch((error) => replace(note, errorBox(error)));
  };
  setTimeout(() => begin("stdout"));
  return [
    h("h1", null, "Log"),
    h("p", { class: "lead" }, h("code", null, task)),
    card(null, screen, note),
  ];
}
