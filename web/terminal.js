// A terminal in a task: a shell there, over a WebSocket (docs/api.md), on the screen of screen.js.
import { call } from "./api.js";
import { errorBox, h, replace } from "./dom.js";
import { Screen } from "./screen.js";

const linesKept = 2000; // that can be scrolled back to
const resizeAfterMs = 100; // several sizes in one moment are one
const pieceMax = 16 * 1024; // characters of input in one message
const shell = ["sh", "-c", "command -v bash >/dev/null && exec bash; exec sh"];
const input = 0, errorOutput = 2; // first byte of a binary message

const keys = { Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", Insert: "\x1b[2~", Delete: "\x1b[3~", PageUp: "\x1b[5~",
  PageDown: "\x1b[6~", F1: "\x1bOP", F2: "\x1bOQ", F3: "\x1bOR", F4: "\x1bOS", F5: "\x1b[15~", F6: "\x1b[17~", F7: "\x1b[18~",
  F8: "\x1b[19~", F9: "\x1b[20~", F10: "\x1b[21~", F11: "\x1b[23~", F12: "\x1b[24~" };
const arrows = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", Home: "H", End: "F" };

/// What a key sends; null for one that the browser or the text field looks after.
export function keySends(event, screen) {
  const { key, ctrlKey, altKey, shiftKey, metaKey } = event;
  if (metaKey || (key === "Tab" && shiftKey)) return null; // Shift+Tab leaves the terminal
  if (arrows[key]) {
    const modifier = 1 + (shiftKey ? 1 : 0) + (altKey ? 2 : 0) + (ctrlKey ? 4 : 0);
    if (modifier > 1) return `\x1b[1;${modifier}${arrows[key]}`;
    return `\x1b${screen.applicationKeys ? "O" : "["}${arrows[key]}`;
  }
  if (keys[key]) return (altKey ? "\x1b" : "") + keys[key];
  if (key.length !== 1) return null;
  if (ctrlKey && !altKey) {
    if (shiftKey || key === "v") return null; // copying and pasting
    if (key === " ") return "\0";
    const code = key.toUpperCase().charCodeAt(0);
    return code >= 64 && code < 96 ? String.fromCharCode(code - 64) : null;
  }
  return altKey && !ctrlKey ? `\x1b${key}` : null;
}

/// A row as elements: one for each stretch of cells that look alike. `cursor` is its column, or -1.
function drawRow(element, line, cursor) {
  const parts = [];
  let from = 0;
  const end = (to) => to > from && parts.push(drawCells(line.slice(from, to), from === cursor));
  for (let at = 1; at < line.length; ++at) {
    if (line[at].style === line[from].style && at !== cursor && from !== cursor) continue;
    if (at === cursor + 1 && line[at].text === "") continue; // a wide character under the cursor
    end(at);
    from = at;
  }
  end(line.length);
  replace(element, parts);
}

function drawCells(cells, underCursor) {
  const { style } = cells[0];
  const text = cells.map((cell) => cell.text).join("");
  if (Object.keys(style).length === 0 && !underCursor) return text;
  const element = h("span", null, text);
  let { fg, bg } = style;
  const inverse = Boolean(style.inverse) !== underCursor;
  if (inverse) [fg, bg] = [bg ?? "page", fg ?? "text"];
  paint(element, "fg", fg);
  paint(element, inverse ? "on" : "bg", bg); // a background by itself is soft: text of the page's own colour is to be read on it
  for (const name of ["bold", "dim", "italic", "underline", "strike"]) if (style[name]) element.classList.add(name);
  if (underCursor) element.classList.add("cursor");
  return element;
}

/// A number or a name is one of the page's own colours, which differ in light and dark.
function paint(element, kind, colour) {
  if (colour === undefined) return;
  if (typeof colour === "string" && colour.startsWith("rgb")) element.style[kind === "fg" ? "color" : "backgroundColor"] = colour;
  else element.classList.add(`${kind}-${colour}`);
}

/// The elements of a terminal in that task; it begins when they are on the page and ends when they leave it.
export function terminal(task) {
  const past = h("div", { class: "past" });
  const rows = h("div", { class: "rows" });
  const probe = h("span", { class: "probe", "aria-hidden": "true" }, "M".repeat(20));
  const typed = h("textarea", { class: "typed", "aria-label": "Terminal", autocomplete: "off", autocorrect: "off", autocapitalize: "off",
    spellcheck: "false", rows: "1" });
  const box = h("div", { class: "terminal", role: "group", "aria-label": "Terminal of the task" }, past, rows, probe, typed);
  const note = h("p", { class: "hint", role: "status" });
  let screen = null, socket = null, frame = 0, sizing = 0;

  const send = (text) => {
    if (socket?.readyState !== WebSocket.OPEN) return;
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += pieceMax) {
      const part = bytes.subarray(at, at + pieceMax);
      const message = new Uint8Array(part.length + 1);
      message[0] = input;
      message.set(part, 1);
      socket.send(message);
    }
  };
  const size = () => {
    const letter = probe.getBoundingClientRect();
    const style = getComputedStyle(box);
    const width = box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const height = box.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    return { rows: Math.max(2, Math.floor(height / letter.height)), columns: Math.max(8, Math.floor(width / (letter.width / 20))) };
  };
  const draw = () => {
    frame = 0;
    const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    while (rows.children.length < screen.rows) rows.append(h("div", { class: "line" }));
    while (rows.children.length > screen.rows) rows.lastChild.remove();
    for (const row of screen.dirty) {
      const cursor = screen.cursor && row === screen.y ? Math.min(screen.x, screen.columns - 1) : -1;
      if (row < screen.rows) drawRow(rows.children[row], screen.lines[row], cursor);
    }
    screen.dirty.clear();
    while (past.children.length > linesKept) past.firstChild.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
  };
  const drawSoon = () => (frame ||= requestAnimationFrame(draw));
  const keep = (line) => {
    const row = h("div", { class: "line" });
    drawRow(row, line, -1);
    past.append(row);
  };

  const ended = (text) => {
    box.classList.add("ended");
    const again = h("button", { type: "button", class: "quiet", onclick: () => {
      open();
      typed.focus();
    } }, "Start again");
    replace(note, text, " ", again);
    note.scrollIntoView({ block: "nearest" });
  };
  /// A browser does not tell why a WebSocket was refused: the same path does, asked plainly.
  const explain = async (path) => {
    try {
      await call("GET", path);
    } catch (error) {
      replace(note, errorBox(error.status === 426 ? { message: "The connection could not be made." } : error));
    }
  };
  const open = () => {
    const path = `/smack/v1/tasks/${encodeURIComponent(task)}/exec`;
    const decoders = { 1: new TextDecoder(), [errorOutput]: new TextDecoder() };
    const mine = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`);
    let last = null, opened = false; // what the server said at the end
    socket?.close();
    socket = mine;
    mine.binaryType = "arraybuffer";
    box.classList.remove("ended");
    replace(note, "Connecting\u2026");
    mine.onopen = () => {
      opened = true;
      const now = size();
      replace(past);
      screen = new Screen(now.rows, now.columns, send, keep);
      mine.send(JSON.stringify({ words: shell, env: { TERM: "xterm-256color" }, tty: true, ...now }));
      replace(note, "Tab goes to the program; ", h("kbd", null, "Shift"), "+", h("kbd", null, "Tab"), " leaves the terminal.");
      drawSoon();
    };
    mine.onmessage = ({ data }) => {
      if (mine !== socket) return;
      if (typeof data === "string") {
        last = JSON.parse(data);
        return;
      }
      const bytes = new Uint8Array(data);
      screen.write(decoders[bytes[0]]?.decode(bytes.subarray(1), { stream: true }) ?? "");
      drawSoon();
    };
    mine.onclose = () => {
      if (mine !== socket || !box.isConnected) return;
      if (!opened) explain(path);
      else if (last?.error) ended(`It has ended: ${last.error.message}.`);
      else if (last?.exit?.signal) ended(`It was ended by signal ${last.exit.signal}.`);
      else if (last?.exit) ended(`It has ended with exit code ${last.exit.code}.`);
      else ended("The connection was lost.");
    };
  };

  typed.addEventListener("keydown", (event) => {
    if (event.isComposing || socket?.readyState !== WebSocket.OPEN) return; // Tab is a program's only where there is one
    const copies = event.ctrlKey && event.key === "c" && !getSelection().isCollapsed;
    const text = copies ? null : keySends(event, screen);
    if (text === null) return;
    event.preventDefault();
    box.scrollTop = box.scrollHeight;
    send(text);
  });
  typed.addEventListener("input", (event) => {
    if (event.isComposing) return;
    send(typed.value.replaceAll("\n", "\r"));
    typed.value = "";
  });
  typed.addEventListener("compositionend", () => {
    send(typed.value);
    typed.value = "";
  });
  typed.addEventListener("paste", (event) => {
    event.preventDefault();
    const text = event.clipboardData.getData("text").replaceAll(/\r?\n/g, "\r");
    // A paste that contains the end mark would not be one any more.
    send(screen?.bracketedPaste ? `\x1b[200~${text.replaceAll("\x1b", "")}\x1b[201~` : text);
  });
  box.addEventListener("click", () => getSelection().isCollapsed && typed.focus({ preventScroll: true }));
  const watch = new ResizeObserver(() => {
    clearTimeout(sizing);
    sizing = setTimeout(() => {
      if (!screen || !box.clientWidth) return; // not on the page any more
      const now = size();
      if (now.rows === screen.rows && now.columns === screen.columns) return;
      screen.resize(now.rows, now.columns);
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ resize: now }));
      drawSoon();
    }, resizeAfterMs);
  });
  const begin = () => {
    open();
    watch.observe(box);
    typed.focus();
    const page = new MutationObserver(() => {
      if (box.isConnected) return;
      page.disconnect();
      watch.disconnect();
      socket.close();
    });
    page.observe(document.getElementById("main"), { childList: true, subtree: true });
  };
  setTimeout(begin); // when it is on the page
  return h("div", null, box, note);
}
