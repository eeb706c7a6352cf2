// Nodes by zone, and one node: what it has and what is used of it, its tasks, and draining it.
import { call, get } from "./api.js";
import { taskTable } from "./apps.js";
import { chart } from "./chart.js";
import { action, announce, badge, bytes, card, confirm, duration, facts, field, h, meter, replace, when } from "./dom.js";

const spanMs = 10 * 60 * 1000;
const lookMs = 2000; // usage is measured, not stored: there is no feed of it

export async function nodes(session, rest) {
  return rest ? one(decodeURIComponent(rest.slice(1))) : all();
}

const tones = { alive: "good", suspect: "warn", dead: "bad", left: "plain", unknown: "plain" };

function liveness(node) {
  return [badge(node.liveness, tones[node.liveness] ?? "plain"), node.drain && [" ", badge("draining", "warn")]];
}

function meters(node) {
  const { capacity: has, reserved: used } = node;
  if (!has) return h("p", { class: "hint" }, "Runs no tasks.");
  return [
    meter("CPUs", used.cpus, has.cpus, `${used.cpus} of ${has.cpus}`),
    meter("Memory", used.memory_bytes, has.memory_bytes, `${bytes(used.memory_bytes)} of ${bytes(has.memory_bytes)}`),
    meter("Disk", used.disk_bytes, has.disk_bytes, `${bytes(used.disk_bytes)} of ${bytes(has.disk_bytes)}`),
  ];
}

async function all() {
  const { nodes: list } = await get("/smack/v1/nodes");
  const zones = Map.groupBy ? Map.groupBy(list, (node) => node.zone || "") : groupByZone(list);
  return [
    h("h1", null, "Nodes"),
    [...zones.entries()].sort(([a], [b]) => a.localeCompare(b)).map(([zone, members]) =>
      card(zone ? `Zone ${zone}` : "Without a zone", h("ul", { class: "tiles" }, members.map((node) => h("li", { class: "tile" },
        h("h3", null, h("a", { href: `#/nodes/${node.id}` }, node.machine)), h("p", null, liveness(node), " ",
          node.roles.map((role) => [badge(role), " "])),
        h("p", { class: "muted" }, `${node.tasks} ${node.tasks === 1 ? "task" : "tasks"}`), meters(node)))))),
    list.length === 0 && h("p", { class: "empty" }, "No node has joined."),
  ];
}

function groupByZone(list) {
  const zones = new Map();
  for (const node of list) zones.set(node.zone || "", [...(zones.get(node.zone || "") ?? []), node]);
  return zones;
}

async function one(id) {
  const [{ nodes: list }, { tasks }] = await Promise.all([get("/smack/v1/nodes"), get("/v2/tasks")]);
  const node = list.find((each) => each.id === id);
  if (!node) throw Object.assign(new Error(`There is no node ${id}.`), { code: "not_found" });
  return [
    h("h1", null, node.machine, " ", liveness(node)),
    h("p", { class: "lead" }, h("a", { href: "#/nodes" }, "All nodes")),
    card("Load", charts(id)),
    h("div", { class: "grid" },
      card("Node", facts([
        ["Id", node.id], ["Zone", node.zone], ["Region", node.capacity?.region], ["Roles", node.roles.map((role) => [badge(role), " "])],
        ["Address", h("code", null, node.address)], ["Version", node.software],
        ["Heard", node.liveness_s === undefined ? null : `${node.liveness} for ${duration(node.liveness_s * 1000)}`],
        ["Certificate until", node.certificate_not_after_ms ? when(node.certificate_not_after_ms) : null],
      ])),
      card("Reserved by tasks", meters(node)),
      card("Maintenance", maintenance(node))),
    card("Tasks", taskTable(tasks.filter((task) => task.host === node.machine), true, "Nothing runs here.")),
  ];
}

function maintenance(node) {
  const problem = h("div", { "aria-live": "polite" });
  const path = `/smack/v1/nodes/${node.id}/drain`;
  if (node.drain) {
    const undrain = async () => {
      await call("DELETE", path);
      announce(`${node.machine} takes tasks again`);
    };
    return [
      facts([["Draining since", when(node.drain.start_ms)], ["Deadline", node.drain.deadline_s ? duration(node.drain.deadline_s * 1000) : "none"],
        ["By", node.drain.principal], ["Note", node.drain.note]]),
      h("div", { class: "actions" }, action("Take tasks again", problem, undrain)), problem];
  }
  const deadline = field("Kill what is left after (minutes, 0: never)", "input", { id: "deadline", type: "number", min: "0", max: "10080", value: "0", inputmode: "numeric" });
  const note = field("Note", "input", { id: "note", maxlength: "200", autocomplete: "off" });
  const drain = async () => {
    const tasks = node.tasks === 1 ? "Its task moves" : `Its ${node.tasks} tasks move`;
    if (!await confirm(`Drain ${node.machine}?`, `${tasks} to other nodes, and it gets no new ones.`, "Drain")) return;
    await call("PUT", path, { deadline_s: Number(deadline.lastChild.value) * 60, note: note.lastChild.value });
    announce(`${node.machine} is drained`);
  };
  return [deadline, note, h("div", { class: "actions" }, action("Drain", problem, drain)), problem];
}

const percent = (value) => `${value.toFixed(value < 10 ? 1 : 0)} %`;
const kept = new Map(); // samples by node, so that a page drawn anew does not begin at nothing

/// Lines that go on by themselves while they are looked at.
function charts(id) {
  const place = h("div", { class: "charts" });
  const draw = (samples, measured) => {
    const points = (value) => samples.map((sample) => ({ time_ms: sample.time_ms, value: value(sample) }));
    const memory = samples.at(-1)?.memory_total_bytes ?? 0;
    const line = (title, value, options) => h("figure", null, h("figcaption", null, title, " ",
      h("strong", null, samples.length ? options.words(value(samples.at(-1))) : "\u2013")), chart(title, points(value), { spanMs, ...options }));
    const own = measured ? [
      line("CPU", (sample) => sample.cpu_share * 100, { most: 100, words: percent }),
      line("Memory", (sample) => sample.memory_used_bytes, { most: memory || null, words: bytes }),
    ] : [h("p", { class: "hint" }, "Its CPU and memory are shown by its own dashboard.")];
    replace(place, own,
      line("Tasks", (sample) => sample.tasks, { words: String }));
  };
  const look = async () => {
    const before = kept.get(id) ?? [];
    const since = before.at(-1)?.time_ms ?? 0;
    const { measured, samples } = await get(`/smack/v1/nodes/${encodeURIComponent(id)}/usage?since=${since}`);
    kept.set(id, [...before, ...samples].filter((sample) => sample.time_ms > Date.now() - 2 * spanMs));
    draw(kept.get(id), measured);
  };
  const goOn = async () => {
    do {
      try {
        if (!document.hidden) await look();
      } catch (refused) {
        replace(place, h("p", { class: "hint" }, refused.message));
        return;
      }
      await new Promise((resume) => setTimeout(resume, lookMs));
    } while (place.isConnected);
  };
  if (kept.has(id)) draw(kept.get(id), kept.get(id)[0]?.cpu_share !== undefined);
  setTimeout(goOn);
  return place;
}
