// The screen of a terminal: what a shell and full-screen programs write (ECMA-48 as xterm does it), as rows of cells. No DOM.

const plain = Object.freeze({});
const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const joining = /[\u200d\ufe0f]|\p{M}/u;
const sequenceMax = 4096; // characters of one control sequence
const flags = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const flagsOff = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };
const lineDrawing = Object.fromEntries([..."jklmnqtuvwx"].map((letter, at) => [letter, [..."┘┐┌└┼─├┤┴┬│"][at]]));

/// `answer(text)` takes what the terminal itself says (where the cursor is); `scrolled(row)` takes rows that leave at the top.
export class Screen {
  constructor(rows, columns, answer = () => {}, scrolled = () => {}) {
    Object.assign(this, { rows, columns, answer, scrolled });
    this.reset();
  }

  reset() {
    Object.assign(this, { x: 0, y: 0, style: plain, top: 0, bottom: this.rows - 1, saved: null, other: null, pending: "",
      cursor: true, wraps: true, applicationKeys: false, bracketedPaste: false, drawing: false });
    this.lines = Array.from({ length: this.rows }, () => this.blank());
    this.dirty = new Set(this.lines.keys());
  }

  blank() {
    const cell = { text: " ", style: this.style?.bg === undefined ? plain : { bg: this.style.bg } };
    return Array.from({ length: this.columns }, () => cell);
  }

  resize(rows, columns) {
    if (rows === this.rows && columns === this.columns) return;
    const fit = (lines) => {
      while (lines.length > rows && this.y < lines.length - 1) lines.pop();
      while (lines.length > rows) this.leave(lines.shift());
      while (lines.length < rows) lines.push([]);
      for (const line of lines) while (line.length < columns) line.push({ text: " ", style: plain });
      for (const line of lines) line.length = columns;
      return lines;
    };
    Object.assign(this, { rows, columns, top: 0, bottom: rows - 1 });
    this.lines = fit(this.lines);
    if (this.other) this.other = fit(this.other);
    this.move(Math.min(this.x, columns - 1), Math.min(this.y, rows - 1));
    this.dirty = new Set(this.lines.keys());
  }

  leave(line) {
    if (!this.other) this.scrolled(line); // a full-screen program leaves nothing behind
  }

  move(x, y) {
    this.dirty.add(this.y);
    this.x = Math.max(0, Math.min(x, this.columns - 1));
    this.y = Math.max(0, Math.min(y, this.rows - 1));
    this.dirty.add(this.y);
  }

  /// Moves rows [from, to] up by `count`, or down; `leaves`: what goes at the top can be scrolled back to.
  scroll(from, to, count, leaves = false) {
    for (let left = Math.min(Math.abs(count), to - from + 1); left > 0; --left) {
      if (count > 0) {
        const [line] = this.lines.splice(from, 1);
        if (leaves) this.leave(line);
        this.lines.splice(to, 0, this.blank());
      } else {
        this.lines.splice(to, 1);
        this.lines.splice(from, 0, this.blank());
      }
    }
    for (let row = from; row <= to; ++row) this.dirty.add(row);
  }

  feed() {
    if (this.y === this.bottom) this.scroll(this.top, this.bottom, 1, this.top === 0);
    else this.move(this.x, this.y + 1);
  }

  /// Replaces cells [from, to) of a row by blanks.
  erase(row, from, to) {
    this.lines[row].splice(from, to - from, ...this.blank().slice(from, to));
    this.dirty.add(row);
  }

  put(text) {
    const line = () => this.lines[this.y];
    if (joining.test(text)) {
      const at = Math.max(0, this.x - 1);
      if (line()[at].text.length < 16) line()[at] = { ...line()[at], text: line()[at].text + text };
      this.dirty.add(this.y);
      return;
    }
    const width = wide.test(text) ? 2 : 1;
    if (this.x + width > this.columns) {
      if (!this.wraps) this.x = this.columns - width;
      else {
        this.x = 0;
        this.feed();
      }
    }
    line()[this.x] = { text: this.drawing ? lineDrawing[text] ?? text : text, style: this.style };
    if (width === 2 && this.x + 1 < this.columns) line()[this.x + 1] = { text: "", style: this.style };
    this.x += width; // one beyond the end: the next character wraps
    this.dirty.add(this.y);
  }

  write(text) {
    text = this.pending + text;
    this.pending = "";
    for (let at = 0; at < text.length;) {
      const code = text.charCodeAt(at);
      if (code === 27) {
        const taken = this.escape(text, at);
        if (!taken) {
          if (text.length - at < sequenceMax) this.pending = text.slice(at);
          return;
        }
        at += taken;
      } else if (code < 32 || code === 127) {
        this.control(code);
        ++at;
      } else {
        const one = String.fromCodePoint(text.codePointAt(at));
        this.put(one);
        at += one.length;
      }
    }
  }

  control(code) {
    if (code === 8) this.move(Math.min(this.x, this.columns - 1) - 1, this.y);
    else if (code === 9) this.move((Math.floor(this.x / 8) + 1) * 8, this.y);
    else if (code >= 10 && code <= 12) this.feed();
    else if (code === 13) this.move(0, this.y);
    else if (code === 14 || code === 15) this.drawing = false;
  }

  /// How many characters a sequence at `at` takes; 0 when its end is not there yet.
  escape(text, at) {
    const rest = text.slice(at, at + sequenceMax);
    const kind = rest[1];
    if (kind === undefined) return 0;
    if (kind === "[") {
      const found = /^\x1b\[([<-?]?)([0-9;:]*)[ -/]*([@-~])/.exec(rest);
      if (found) this.sequence(found[1], found[2], found[3]);
      else if (/^\x1b\[[ -?]*$/.test(rest)) return 0;
      return found ? found[0].length : 2;
    }
    if ("]P^_X".includes(kind)) { // titles and the like: looked at by nobody
      const found = /^\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)/.exec(rest);
      return found ? found[0].length : rest.length < sequenceMax ? 0 : 2;
    }
    if ("()*+#%".includes(kind)) {
      if (rest[2] === undefined) return 0;
      if (kind === "(") this.drawing = rest[2] === "0";
      return 3;
    }
    if (kind === "7") this.save();
    else if (kind === "8") this.restore();
    else if (kind === "c") this.reset();
    else if (kind === "D") this.feed();
    else if (kind === "E") this.move(0, this.y), this.feed();
    else if (kind === "M" && this.y === this.top) this.scroll(this.top, this.bottom, -1);
    else if (kind === "M") this.move(this.x, this.y - 1);
    return 2;
  }

  save() {
    this.saved = { x: this.x, y: this.y, style: this.style };
  }

  restore() {
    this.style = this.saved?.style ?? plain;
    this.move(this.saved?.x ?? 0, this.saved?.y ?? 0);
  }

  sequence(mark, given, end) {
    const numbers = given.split(";").map((one) => Number.parseInt(one, 10));
    const value = (at, least = 1) => Math.max(least, Number.isNaN(numbers[at] ?? NaN) ? least : numbers[at]);
    const n = Math.min(value(0), 9999), x = Math.min(this.x, this.columns - 1);
    if (mark === "?" && (end === "h" || end === "l")) return numbers.forEach((mode) => this.mode(mode, end === "h"));
    if (mark) return end === "c" && this.answer("\x1b[>0;0;0c");
    switch (end) {
      case "A": return this.move(x, Math.max(this.y - n, this.y >= this.top ? this.top : 0));
      case "B": case "e": return this.move(x, Math.min(this.y + n, this.y <= this.bottom ? this.bottom : this.rows - 1));
      case "C": case "a": return this.move(x + n, this.y);
      case "D": return this.move(x - n, this.y);
      case "E": return this.move(0, this.y + n);
      case "F": return this.move(0, this.y - n);
      case "G": case "`": return this.move(n - 1, this.y);
      case "H": case "f": return this.move(value(1) - 1, n - 1);
      case "d": return this.move(x, n - 1);
      case "J": return this.eraseScreen(value(0, 0));
      case "K": return this.erase(this.y, value(0, 0) === 0 ? x : 0, value(0, 0) === 1 ? x + 1 : this.columns);
      case "L": case "M":
        if (this.y >= this.top && this.y <= this.bottom) this.scroll(this.y, this.bottom, end === "M" ? n : -n);
        return null;
      case "P": case "@": return this.shiftCells(x, Math.min(n, this.columns - x), end === "P");
      case "X": return this.erase(this.y, x, Math.min(this.columns, x + n));
      case "S": return this.scroll(this.top, this.bottom, n, this.top === 0);
      case "T": return this.scroll(this.top, this.bottom, -n);
      case "m": return this.render(given);
      case "r": {
        const bottom = Math.min(Number.isNaN(numbers[1] ?? NaN) ? this.rows : numbers[1], this.rows) - 1;
        if (n - 1 < bottom) Object.assign(this, { top: n - 1, bottom });
        return this.move(0, 0);
      }
      case "s": return this.save();
      case "u": return this.restore();
      case "n": return this.answer(n === 6 ? `\x1b[${this.y + 1};${x + 1}R` : "\x1b[0n");
      case "c": return this.answer("\x1b[?6c");
      default: return null; // what is not known changes nothing
    }
  }

  shiftCells(x, count, removes) {
    const line = this.lines[this.y], blanks = this.blank().slice(0, count);
    if (removes) line.push(...blanks), line.splice(x, count);
    else line.splice(x, 0, ...blanks), line.length = this.columns;
    this.dirty.add(this.y);
  }

  eraseScreen(part) {
    const x = Math.min(this.x, this.columns - 1);
    if (part === 0) this.erase(this.y, x, this.columns);
    if (part === 1) this.erase(this.y, 0, x + 1);
    const from = part === 0 ? this.y + 1 : 0, to = part === 1 ? this.y : this.rows;
    for (let row = from; row < to; ++row) this.erase(row, 0, this.columns);
  }

  mode(number, on) {
    if (number === 1) this.applicationKeys = on;
    if (number === 7) this.wraps = on;
    if (number === 25) this.cursor = on;
    if (number === 2004) this.bracketedPaste = on;
    this.dirty.add(this.y);
    if (![47, 1047, 1049].includes(number) || on === Boolean(this.other)) return;
    if (on) this.save();
    const before = this.lines;
    this.lines = on ? Array.from({ length: this.rows }, () => this.blank()) : this.other;
    this.other = on ? before : null;
    if (!on) this.restore();
    this.dirty = new Set(this.lines.keys());
  }

  /// Select graphic rendition: colours and the like of what is written from here on.
  render(given) {
    const style = { ...this.style };
    const numbers = given.split(/[;:]/).map((one) => Number(one || 0));
    for (let at = 0; at < numbers.length; ++at) {
      const n = numbers[at];
      if (n === 0) for (const name of Object.keys(style)) delete style[name];
      else if (flags[n]) style[flags[n]] = true;
      else if (flagsOff[n]) for (const name of flagsOff[n]) delete style[name];
      else if (n === 39) delete style.fg;
      else if (n === 49) delete style.bg;
      else if (n === 38 || n === 48) {
        const name = n === 38 ? "fg" : "bg";
        if (numbers[at + 1] === 5) style[name] = indexed(numbers[at + 2] ?? 0);
        if (numbers[at + 1] === 2) style[name] = rgb(numbers.slice(at + 2, at + 5));
        at += numbers[at + 1] === 5 ? 2 : 4;
      } else if ((n >= 30 && n <= 37) || (n >= 90 && n <= 97)) style.fg = n >= 90 ? n - 82 : n - 30;
      else if ((n >= 40 && n <= 47) || (n >= 100 && n <= 107)) style.bg = n >= 100 ? n - 92 : n - 40;
    }
    this.style = Object.keys(style).length ? style : plain;
  }
}

function rgb(parts) {
  return `rgb(${[0, 1, 2].map((at) => Math.min(255, parts[at] || 0)).join(" ")})`;
}

/// One of xterm's 256: the first 16 are the page's own, by number.
function indexed(n) {
  if (n < 16) return n;
  if (n >= 232) return rgb([0, 0, 0].fill(8 + 10 * (Math.min(n, 255) - 232)));
  const step = (at) => (at === 0 ? 0 : 55 + 40 * at);
  return rgb([step(Math.floor((n - 16) / 36)), step(Math.floor((n - 16) / 6) % 6), step((n - 16) % 6)]);
}
