// One task: what it is, and what it writes.
import { get } from "./api.js";
import { badge, card, errorBox, facts, h, replace, when } from "./dom.js";
import { terminal } from "./terminal.js";

const logBytes = 64 * 1024;
const logKept = 512 * 1024; // characters on the page

export function taskAddress(id) {
  return `#/task/${encodeURIComponent(id)}`;
}

/// `rest` is "/ID".
export async function task(session, rest) {
  const id = decodeURIComponent(rest.slice(1));
  const row = await find(id);
  return [
    h("h1", null, "Task ", row && badge(row.state.replace("TASK_", "").toLowerCase(), row.state === "TASK_RUNNING" ? "good" : "warn")),
    h("p", { class: "lead" }, h("code", null, id)),
    card(null, facts([
      ["Application", h("a", { href: `#/apps${appOf(id)}` }, appOf(id))],
      ["Node", row?.host],
      ["Ports", row?.ports.join(", ")],
      ["Since", row?.startedAt && when(Date.parse(row.startedAt))],
      ["State", row ? null : "has ended; its log is kept for a while"],
    ])),
    outputs(id, row?.state === "TASK_RUNNING"),
  ];
}

/// "/a/b" of "a_b.instance-UUID._app.1".
function appOf(id) {
  return `/${id.split(".")[0].replaceAll("_", "/")}`;
}

async function find(id) {
  try {
    const { tasks } = await get(`/v2/apps${appOf(id)}/tasks`);
    return tasks.find((one) => one.id === id);
  } catch (error) {
    if (error.status === 404) return undefined; // the application is gone
    throw error;
  }
}

/// A task's output, which grows while the page is looked at, and a terminal in it.
function outputs(id, runs) {
  const screen = h("pre", { class: "log", tabindex: "0", "aria-label": "Output of the task" });
  const note = h("p", { class: "hint", role: "status" });
  const shown = h("div", null, screen, note);
  let turns = 0; // counts what was chosen, so that the stream before it stops
  const follow = async (stream, turn) => {
    for (let offset = 0; turn === turns && screen.isConnected;) {
      const piece = await get(`/smack/v1/tasks/${encodeURIComponent(id)}/log/${stream}?offset=${offset}` +
        `&length=${logBytes}&wait=true`);
      if (turn !== turns) return;
      add(screen, piece.text);
      if (piece.ended && piece.next >= piece.end) {
        note.textContent = "The task has ended.";
        return;
      }
      offset = piece.next;
    }
  };
  const choose = (what) => {
    const turn = ++turns;
    for (const button of choices.children) button.setAttribute("aria-pressed", String(button.textContent === what));
    if (what === "terminal") return replace(shown, terminal(id));
    replace(screen);
    replace(note);
    replace(shown, screen, note);
    return follow(what, turn).catch((error) => replace(note, errorBox(error)));
  };
  const choices = h("div", { class: "actions", role: "group", "aria-label": "Output or terminal" },
    ["stdout", "stderr", runs && "terminal"].filter(Boolean).map((what) =>
      h("button", { type: "button", class: "quiet", onclick: () => choose(what) }, what)));
  setTimeout(() => choose("stdout")); // when it is on the page
  return card(null, choices, shown);
}

function add(screen, text) {
  if (!text) return;
  const atEnd = screen.scrollTop + screen.clientHeight >= screen.scrollHeight - 4;
  screen.append(text);
  let kept = screen.textContent.length;
  while (kept > logKept) {
    kept -= screen.firstChild.length;
    screen.firstChild.remove();
  }
  if (atEnd) screen.scrollTop = screen.scrollHeight;
}
