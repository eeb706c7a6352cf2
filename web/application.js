// One application: how it is and why not better, its tasks, and what can be done with it.
import { call, get, pathOf } from "./api.js";
import { state, taskTable, what } from "./apps.js";
import { failureView } from "./deploy.js";
import { action, announce, badge, card, confirm, facts, field, h, table } from "./dom.js";
import { waitingView } from "./plan.js";

export async function application(id) {
  const path = pathOf(id);
  const [{ app }, { queue }, { versions }] = await Promise.all([get(path), get("/v2/queue"), get(`${path}/versions`)]);
  const waiting = queue.find((item) => item.app.id === app.id);
  return [
    h("div", { class: "head" }, h("h1", null, app.id, " ", state(app)),
      h("a", { class: "button", href: `#/deploy${app.id}` }, "Change the definition")),
    h("p", { class: "lead" }, h("a", { href: "#/apps" }, "All applications")),
    app.deployments.length > 0 && h("p", null, badge("deploying", "warn"), " ",
      h("a", { href: "#/deployments" }, "A deployment is on its way")),
    waiting && waitingView(waiting, `Waiting for ${waiting.count} more`),
    app.lastTaskFailure && await failureView(app.lastTaskFailure),
    h("div", { class: "grid" },
      card("Application", facts([
        ["Runs", h("code", null, what(app))],
        ["Tasks", `${app.tasksRunning} of ${app.instances}`],
        ["Starting", app.tasksStaged || null],
        ["Healthy", app.healthChecks?.length ? app.tasksHealthy : null],
        ["Each", `${app.cpus} CPUs, ${app.mem} MiB`],
        ["Service ports", servicePorts(app).join(", ")],
        ["Virtual hosts", virtualHosts(app).join(", ")],
        ["Version", app.version],
      ])),
      card("Change", changes(app, path))),
    card("Tasks", taskTable(app.tasks, false, "No task runs.")),
    card("Versions", versionTable(app, path, versions)),
  ];
}

function servicePorts(app) {
  const ports = app.container?.portMappings ?? [];
  return [...ports.map((port) => port.servicePort), ...(app.portDefinitions ?? []).map((port) => port.port)].filter(Boolean);
}

function virtualHosts(app) {
  return Object.entries(app.labels ?? {}).filter(([name]) => /^HAPROXY_\d+_VHOST$/.test(name)).flatMap(([, hosts]) => hosts.split(","));
}

function changes(app, path) {
  const problem = h("div", { "aria-live": "polite" });
  const scale = async (instances) => {
    await call("PUT", path, { instances });
    announce(`${app.id} is scaled to ${instances}`);
  };
  const count = field("Instances", "input", { id: "instances", type: "number", min: "0", max: "100000", value: app.instances, required: true,
    inputmode: "numeric" });
  const input = count.lastChild;
  const submit = h("button", { type: "submit" }, "Scale");
  const form = h("form", { class: "row", onsubmit: (event) => {
    event.preventDefault();
    hidden.click();
  } }, count, submit);
  const hidden = action("", problem, () => scale(Number(input.value)));
  const restart = async () => {
    if (!await confirm(`Restart ${app.id}?`, "All of its tasks are replaced, as its upgrade strategy says.", "Restart")) return;
    await call("POST", `${path}/restart`);
    announce(`${app.id} restarts`);
  };
  const remove = async () => {
    const tasks = app.tasks.length === 1 ? "its task" : `its ${app.tasks.length} tasks`;
    if (!await confirm(`Remove ${app.id}?`, `This ends ${tasks} and forgets its versions.`, "Remove")) return;
    await call("DELETE", path);
    announce(`${app.id} is removed`);
    location.hash = "#/apps";
  };
  return [form, h("div", { class: "actions" }, action("Restart", problem, restart), action("Remove", problem, remove, { class: "danger" })), problem];
}

function versionTable(app, path, versions) {
  const problem = h("div", { "aria-live": "polite" });
  const back = (version) => async () => {
    if (!await confirm(`Go back to ${version}?`, "The definition of then is deployed again; tasks of that configuration stay.", "Go back")) return;
    await call("PUT", path, { version });
    announce(`${app.id} goes back to ${version}`);
  };
  const shown = versions.slice(0, 8);
  return [problem, table("Versions", ["Version", ""], shown.map((version) => [h("time", { datetime: version }, new Date(version).toLocaleString()),
    version === app.version ? badge("now", "good") : action("Go back", problem, back(version), { class: "quiet", "aria-label": `Go back to ${version}` })]), "")];
}
