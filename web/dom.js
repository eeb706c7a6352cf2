// Building the page: elements and text nodes only. Nothing here or elsewhere parses HTML from a string, so what
// the cluster stores (a full name, a message) cannot become markup.

/// h("p", {class: "x", onclick: f}, "text", child, [more]): false and null children are left out.
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.append(child);
    else if (child !== null && child !== undefined && child !== false) parent.append(String(child));
  }
}

export function replace(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/// Tells people who use a screen reader what changed.
export function announce(text) {
  document.getElementById("announce").textContent = text;
}

export function badge(text, tone = "plain") {
  return h("span", { class: `badge ${tone}` }, text);
}

export function card(title, ...body) {
  return h("section", { class: "card" }, title && h("h2", null, title), body);
}

/// A definition list from [term, value] pairs; pairs without a value are left out.
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h("dl", { class: "facts" }, shown.map(([term, value]) => [h("dt", null, term), h("dd", null, value)]));
}

/// A table; `empty` is the sentence for no rows.
export function table(caption, headings, rows, empty) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  return h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": caption },
    h("table", null,
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", null, h("tr", null, headings.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", null, rows.map((cells) => h("tr", null, cells.map((cell) => h("td", null, cell)))))));
}

export function errorBox(error) {
  return h("div", { class: "notice bad", role: "alert" },
    h("strong", null, error.title ?? "That did not work"), h("p", null, error.message));
}

export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1000) return `${ms} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

export function when(ms) {
  return h("time", { datetime: new Date(ms).toISOString() }, new Date(ms).toLocaleString());
}

/// A modal question; true when `verb` was chosen. Escape is a no.
export function confirm(title, text, verb) {
  return new Promise((answer) => {
    const asked = document.activeElement;
    const dialog = h("dialog", { class: "card", "aria-labelledby": "confirm-title" },
      h("form", { method: "dialog" },
        h("h2", { id: "confirm-title" }, title), h("p", null, text),
        h("div", { class: "actions" },
          h("button", { value: "no" }, "Cancel"),
          h("button", { value: "yes", class: "danger" }, verb))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (!asked.isConnected) document.getElementById("main").focus();
      answer(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/// A labelled input; `attributes` has its id.
export function field(label, tag, attributes) {
  return h("div", { class: "field" }, h("label", { for: attributes.id }, label), h(tag, attributes));
}

/// A button that runs `work` once at a time and shows what went wrong in `problem`.
export function action(text, problem, work, attributes = {}) {
  const button = h("button", { type: "button", ...attributes, onclick: async () => {
    button.disabled = true;
    replace(problem);
    try {
      await work();
    } catch (refused) {
      replace(problem, errorBox(refused));
    }
    button.disabled = false;
    // A disabled button loses the focus, and with it whoever works by keyboard their place.
    if (button.isConnected && document.activeElement === document.body) button.focus();
  } }, text);
  return button;
}

/// How much of something is taken, as a bar with its words.
export function meter(label, part, whole, words) {
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  return h("div", { class: "meter" },
    h("span", null, label), h("span", { class: "meter-words" }, words),
    h("progress", { max: "1", value: share.toFixed(3), "aria-label": `${label}: ${words}` }));
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count) {
  let at = 0;
  for (; count >= 1024 && at < units.length - 1; ++at) count /= 1024;
  return `${count >= 100 || at === 0 ? Math.round(count) : count.toFixed(1)} ${units[at]}`;
}
