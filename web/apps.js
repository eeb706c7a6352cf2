// Applications and tasks as lists.
import { get } from "./api.js";
import { application } from "./application.js";
import { badge, card, h, table } from "./dom.js";
import { taskAddress } from "./task.js";

export async function apps(session, id) {
  return id ? application(id) : list();
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
export function state(app) {
  if (app.deployments.length) return badge("deploying", "warn");
  if (app.instances === 0) return badge("suspended");
  if (app.tasksUnhealthy) return badge("unhealthy", "bad");
  return app.tasksRunning >= app.instances ? badge("running", "good") : badge("waiting", "warn");
}

export function what(app) {
  return app.container?.docker?.image ?? app.cmd ?? (app.args ?? []).join(" ");
}

async function list() {
  const { apps: rows } = await get("/v2/apps");
  return [
    h("div", { class: "head" }, h("h1", null, "Applications"), h("a", { class: "button primary", href: "#/deploy" }, "Deploy an application")),
    card(null, table("Applications", ["Application", "State", "Tasks", "CPUs", "Memory", "Runs"],
      rows.map((app) => [link(app.id), state(app), nowrap(`${app.tasksRunning} of ${app.instances}`), app.cpus,
        nowrap(`${app.mem} MiB`), h("code", null, short(what(app)))]),
      "Nothing is deployed yet. Deploy something here, or by: smackd app add FILE")),
  ];
}

function nowrap(text) {
  return h("span", { class: "nowrap" }, text);
}

function short(text) {
  return text && text.length > 60 ? `${text.slice(0, 60)}\u2026` : text;
}

export function taskTable(rows, withApp, empty) {
  const headings = ["Task", ...(withApp ? ["Application"] : []), "State", "Node", "Ports", ""];
  return table("Tasks", headings, rows.map((task) => [
    h("code", null, task.id.split(".").slice(1).join(".").replace("instance-", "").slice(0, 13)),
    ...(withApp ? [link(task.appId)] : []),
    [badge(task.state.replace("TASK_", "").toLowerCase(), task.state === "TASK_RUNNING" ? "good" : "warn"), " ", health(task)],
    task.host, task.ports.join(", "),
    h("a", { href: taskAddress(task.id) }, "Log")]), empty);
}

function health(task) {
  const results = task.healthCheckResults ?? [];
  if (!results.length) return null;
  const alive = results.every((result) => result.alive);
  const judged = results.some((result) => result.firstSuccess || result.lastFailure);
  return alive ? badge("healthy", "good") : badge(judged ? "unhealthy" : "checking", judged ? "bad" : "plain");
}
