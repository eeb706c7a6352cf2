// The sections of the page: each fetches what it shows and returns elements.
import { get, post } from "./api.js";
import { apps, tasks } from "./apps.js";
import { deploy } from "./deploy.js";
import { deployments } from "./deployments.js";
import { badge, card, duration, errorBox, facts, h, replace, table, when } from "./dom.js";
import { nodes } from "./nodes.js";
import { task } from "./task.js";

export const sections = [
  { path: "overview", title: "Overview", view: overview },
  { path: "apps", title: "Applications", view: apps },
  { path: "tasks", title: "Tasks", view: tasks },
  { path: "deployments", title: "Deployments", view: deployments },
  { path: "nodes", title: "Nodes", view: nodes },
  { path: "people", title: "People", view: people },
  { path: "machines", title: "Machines", view: machines },
  { path: "rules", title: "Rules", view: rules },
  { path: "events", title: "Events", view: events },
  { path: "me", title: "My account", view: me },
  { path: "deploy", title: "Deploy", view: deploy, hidden: true, still: true },
  { path: "task", title: "Task", view: task, hidden: true, still: true },
];

export function signIn(done, error) {
  const problem = h("div", null, error && errorBox(error));
  const buttons = [];
  const attempt = async (body) => {
    for (const button of buttons) button.disabled = true;
    replace(problem);
    try {
      await post("/smack/v1/login", { ...body, cookie: true });
      await done();
    } catch (refused) {
      replace(problem, errorBox(explain(refused, body)));
    }
    for (const button of buttons) button.disabled = false;
  };
  const user = h("input", { id: "user", name: "user", autocomplete: "username", autocapitalize: "none",
    spellcheck: "false", required: true });
  const password = h("input", { id: "password", type: "password", autocomplete: "current-password", required: true });
  const enter = (event) => {
    event.preventDefault();
    const given = password.value;
    password.value = "";
    attempt({ user: user.value.trim(), password: given });
  };
  buttons.push(h("button", { type: "submit", class: "primary" }, "Sign in"),
    h("button", { type: "button", onclick: () => attempt({}) }, "Use my Kerberos ticket"));
  return h("div", { class: "sign-in" },
    h("section", { class: "card" },
      h("h1", null, "Sign in"),
      problem,
      h("form", { onsubmit: enter },
        h("label", { for: "user" }, "User"), user,
        h("label", { for: "password" }, "Password"), password,
        buttons[0]),
      h("p", { class: "or" }, "or"),
      buttons[1],
      h("p", { class: "hint" }, "A ticket comes from ", h("code", null, "kinit"),
        ". The browser has to be allowed to use it for this host.")));
}

/// A refused ticket says little by itself: the browser did not even try when it is not set up for this host.
function explain(refused, body) {
  if (refused.code === "unauthenticated" && !body.user) {
    return { title: "The browser sent no ticket",
      message: `Run kinit, and allow negotiated sign-in for ${location.hostname} (Firefox: ` +
        "network.negotiate-auth.trusted-uris; Chromium: the AuthServerAllowlist policy). " + refused.message };
  }
  return { title: "Sign-in refused", message: refused.message };
}

async function overview() {
  const status = await get("/smack/v1/status");
  const { cluster, node, leader, servers, alarms } = status;
  document.getElementById("cluster-name").textContent = cluster.name;
  return [
    h("h1", null, "Overview"),
    alarms.map((alarm) => h("div", { class: "notice bad", role: "alert" },
      h("strong", null, alarm.name), h("p", null, alarm.message))),
    !leader && h("div", { class: "notice warn", role: "alert" }, h("strong", null, "No leader"),
      h("p", null, "The servers have not agreed on a leader: reading works and may be stale, changes wait.")),
    h("div", { class: "grid" },
      card("Cluster", facts([
        ["Name", cluster.name],
        ["Id", h("code", { title: cluster.id }, short(cluster.id))],
        ["Realm", [cluster.realm, cluster.embedded_realm && [" ", badge("embedded")]]],
        ["Revision", h("code", null, cluster.revision)],
        ["Feature level", cluster.feature_level],
        ["Leader", leader ? leader.machine || `server ${leader.id}` : "none"],
        ["Term", status.term],
      ])),
      card("This node", facts([
        ["Machine", node.machine],
        ["Role", badge(node.role, node.role === "leader" ? "good" : "plain")],
        ["Version", node.version],
        ["Up for", duration(node.uptime_ms)],
        ["Applied", `${node.applied_index} of ${node.commit_index}`],
        ["Heard from the leader", node.role === "leader" ? "is the leader" : `${duration(node.leader_contact_ms)} ago`],
      ]))),
    card("Servers", table("Servers of this cluster", ["Machine", "Address", "Role", "State"],
      servers.map((server) => [server.machine || server.id, h("code", null, server.address),
        server.role, [server.leader && badge("leader", "good"), " ", server.self && badge("this node")]]),
      "No server is known yet.")),
  ];
}

async function people() {
  const [users, groups] = await Promise.all([get("/smack/v1/users"), get("/smack/v1/groups")]);
  return [
    h("h1", null, "People"),
    card("Users", table("Users", ["User", "Name", "Groups", "State"],
      users.users.map((user) => [h("strong", null, user.name), user.full_name,
        user.groups.map((group) => [badge(group), " "]),
        user.disabled ? badge("disabled", "warn") : badge("active", "good")]),
      "Nobody you may see.")),
    card("Groups", table("Groups", ["Group", "About", "Members"],
      groups.groups.map((group) => [h("strong", null, group.name), group.description, group.members.join(", ")]),
      "There is no group you may see.")),
  ];
}

async function machines() {
  const { machines: list } = await get("/smack/v1/machines");
  return [
    h("h1", null, "Machines"),
    card(null, table("Machines", ["Machine", "Roles", "Attributes", "State"],
      list.map((machine) => [h("strong", null, machine.name),
        machine.roles.map((role) => [badge(role), " "]),
        Object.entries(machine.attributes).map(([key, value]) => [h("code", null, `${key}=${value}`), " "]),
        machine.state === "allowed" ? badge("may join", "good") : badge(machine.state, "warn")]),
      "No machine is registered that you may see. Add one with: smackd machine add NAME")),
  ];
}

async function rules() {
  const { rules: list } = await get("/smack/v1/rules");
  return [
    h("h1", null, "Rules"),
    h("p", { class: "lead" }, "What no rule grants is refused."),
    card(null, table("Rules", ["Rule", "Who", "May", "Tenant", "Path"],
      list.map((rule) => [h("strong", null, rule.id), rule.subject, rule.actions.map((action) => [badge(action), " "]),
        rule.tenant === "*" ? "all" : rule.tenant, h("code", null, rule.path)]),
      "There is no rule you may see.")),
  ];
}

const eventGroups = [
  ["Everything", null],
  ["Applications", ["app", "app_group", "deployment", "backoff"]],
  ["Tasks", ["task"]],
  ["Nodes", ["node", "machine", "capacity", "drain"]],
  ["People and rules", ["user", "group", "rule", "token", "principal", "secret"]],
];

async function events(session) {
  const list = h("div");
  const choose = (kinds) => {
    session.eventKinds = kinds;
    draw();
  };
  const buttons = eventGroups.map(([name, kinds]) => h("button", { type: "button", onclick: () => choose(kinds) }, name));
  const draw = () => {
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(eventGroups[at][1] === session.eventKinds)));
    const shown = session.events.filter((event) => !session.eventKinds || session.eventKinds.includes(event.kind));
    replace(list, table("Events", ["When", "What", "By", "Revision"],
      shown.map((event) => [timeOfDay(event.time_ms),
        [badge(event.kind), " ", subject(event), event.removed && [" ", badge("removed", "warn")]], event.actor || "the cluster itself",
        h("code", null, event.revision)]),
      "Nothing has changed yet. This list fills by itself."));
  };
  draw();
  return [
    h("h1", null, "Events"),
    h("p", { class: "lead" }, "The last changes, the newest first."),
    h("div", { class: "actions toggles", role: "group", "aria-label": "Which events" }, buttons),
    card(null, list),
  ];
}

/// The time alone for what is of today.
function timeOfDay(ms) {
  const date = new Date(ms);
  const today = date.toDateString() === new Date().toDateString();
  return h("time", { datetime: date.toISOString(), title: date.toLocaleString() }, today ? date.toLocaleTimeString() : date.toLocaleString());
}

/// What a change is of, with the way to it where there is a page.
function subject(event) {
  if (event.kind === "task") {
    const [app, instance] = event.key.split(".instance-");
    const { row } = event;
    return h("span", { title: event.key }, row ? h("a", { href: `#/apps${row.app}` }, row.app) : app, " ",
      h("code", null, (instance ?? "").slice(0, 8)), row && ` ${row.state.replace("TASK_", "").toLowerCase() || "staging"} on ${row.machine}`,
      row?.message && `: ${row.message}`);
  }
  if (event.kind === "deployment" && event.row) return event.row.apps.map((app) => [h("a", { href: `#/apps${app}` }, app), " "]);
  if (event.kind === "app" && !event.removed) return h("a", { href: `#/apps${event.key}` }, event.key);
  if ((event.kind === "node" || event.kind === "capacity" || event.kind === "drain") && !event.removed)
    return h("a", { href: `#/nodes/${event.key}` }, event.key);
  return event.key;
}

async function me() {
  const who = await get("/smack/v1/whoami");
  return [
    h("h1", null, "My account"),
    h("div", { class: "grid" },
      card("Who I am", facts([
        ["User", who.user],
        ["Principal", h("code", null, who.principal)],
        ["Groups", who.groups.length ? who.groups.map((group) => [badge(group), " "]) : "none"],
        ["Signed in by", who.method],
        ["Until", who.expires_ms ? when(who.expires_ms) : null],
      ])),
      card("What I may", table("What I may do", ["Actions", "Tenant", "Path", "By rule"],
        who.grants.map((grant) => [grant.actions.map((action) => [badge(action), " "]),
          grant.tenant === "*" ? "all" : grant.tenant, h("code", null, grant.path), grant.rule]),
        "No rule names you. Ask an admin to add one."))),
  ];
}

function short(id) {
  return id.length > 16 ? `${id.slice(0, 16)}\u2026` : id;
}
