// What a definition would change, as POST /smack/v1/apps/plan says it, and what is wrong with one.
import { badge, h, table } from "./dom.js";

const effects = {
  create: ["new", "good", "is a new application."],
  restart: ["tasks are replaced", "warn", "changes in what its tasks see: they are replaced as its upgrade strategy says."],
  scale: ["scaled", "good", "gets another number of tasks; those that stay are not touched."],
  describe: ["described", "good", "changes; its tasks are not touched."],
  none: ["no change", "plain", "is like this already."],
};

function value(json) {
  if (json === null || json === undefined) return h("span", { class: "muted" }, "\u2013");
  const text = typeof json === "string" ? json : JSON.stringify(json);
  return h("code", null, text.length > 400 ? `${text.slice(0, 400)}\u2026` : text);
}

export function planView(plan) {
  const [word, tone, sentence] = effects[plan.effect] ?? effects.describe;
  const { wanted, kept, started, stopped } = plan.tasks;
  return [
    h("p", null, h("strong", null, plan.app), " ", badge(word, tone), " ", sentence),
    plan.changes.length > 0 && table("Changes", ["Field", "Now", "Then", ""],
      plan.changes.map((one) => [h("code", null, one.path), value(one.old), value(one.new),
        one.restarts && badge("replaces tasks", "warn")]), ""),
    h("p", null, `${wanted} ${wanted === 1 ? "task" : "tasks"} wanted: ${kept} stay, ${started} start, ${stopped} end.`),
    plan.nodes.length > 0 && table("Tasks by node", ["Node", "Tasks now", "Then"],
      plan.nodes.map((node) => [node.host, node.now, node.then]), ""),
    plan.waiting && waitingView(plan.waiting, `${plan.waiting.count} would wait`),
    !plan.complete && h("p", { class: "hint" }, "The deployment has too many steps to foresee its end."),
    (plan.warnings ?? []).map((text) => h("div", { class: "notice warn" }, h("p", null, text))),
  ];
}

/// Why tasks wait: the sentence, and each node with what it lacks.
export function waitingView(waiting, title) {
  return h("div", { class: "notice warn" }, h("strong", null, title), h("p", null, waiting.reason),
    waiting.nodes.length > 0 && table("Why not", ["Node", "Lacks", ""],
      waiting.nodes.map((node) => [node.host, node.reason, node.text]), ""));
}

/// A refusal with its fields; `goTo(path)` moves to the field in the text.
export function refusalView(refused, goTo) {
  const lines = refused.fields.flatMap((one) => one.errors.map((text) => [one.path, text]));
  return h("div", { class: "notice bad", role: "alert" },
    h("strong", null, refused.title ?? "Refused"),
    lines.length === 0 ? h("p", null, refused.message)
      : h("ul", null, lines.map(([path, text]) => h("li", null,
        h("button", { type: "button", class: "link", onclick: () => goTo(path) }, h("code", null, path)), ` ${text}`))));
}

/// Where in the text of a JSON object the field of a path begins and ends: "/portDefinitions(1)/name". Its last name that
/// is found; null when none is.
export function findField(text, path) {
  let from = 0;
  let found = null;
  for (const part of path.split("/").filter(Boolean)) {
    const [, name, number] = /^(.*?)(?:\((\d+)\))?$/.exec(part);
    const at = text.indexOf(JSON.stringify(name), from);
    if (at < 0) break;
    found = [at, at + name.length + 2];
    from = found[1];
    for (let skip = Number(number ?? 0); skip > 0; --skip) {
      const next = text.indexOf("{", text.indexOf("{", from) + 1);
      if (next < 0) break;
      from = next;
    }
  }
  return found;
}
