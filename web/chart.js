// Lines over time, drawn as SVG.

const width = 320;
const height = 120;
const left = 0;
const top = 18;
const bottom = 18;

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/// `points` are [{time_ms, value}] in order of time; `spanMs` is how far back the axis goes, `most` the top of the
/// scale (null: a whole number that the points need), `words` how a value reads.
export function chart(title, points, { spanMs, most = null, words }) {
  const now = points.length ? points.at(-1).time_ms : Date.now();
  const begin = now - spanMs;
  const shown = points.filter((point) => point.time_ms >= begin);
  const highest = shown.reduce((max, point) => Math.max(max, point.value), 0);
  const scale = most ?? Math.max(1, Math.ceil(highest * 1.2));
  const x = (time) => left + ((time - begin) / spanMs) * (width - left);
  const y = (value) => top + (1 - Math.min(1, value / scale)) * (height - top - bottom);
  const line = shown.map((point, at) => `${at ? "L" : "M"}${x(point.time_ms).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
  const base = height - bottom;
  const last = shown.at(-1);
  const said = last ? `${title}: now ${words(last.value)}, at most ${words(highest)} in the last ${spanMs / 60000} minutes` : `${title}: nothing yet`;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": said });
  for (const share of [0, 0.5, 1]) {
    const at = top + share * (base - top);
    picture.append(svg("line", { x1: left, x2: width, y1: at, y2: at, class: "chart-grid" }));
  }
  if (shown.length > 1) {
    picture.append(svg("path", { d: `${line}L${x(last.time_ms).toFixed(1)} ${base}L${x(shown[0].time_ms).toFixed(1)} ${base}Z`, class: "chart-area" }));
    picture.append(svg("path", { d: line, class: "chart-line" }));
  }
  picture.append(svg("text", { x: left, y: height - 4, class: "chart-text" }, `${spanMs / 60000} min ago`),
    svg("text", { x: width, y: height - 4, "text-anchor": "end", class: "chart-text" }, "now"),
    svg("text", { x: left, y: top - 6, class: "chart-text" }, words(scale)));
  return picture;
}
