// The dashboard's first page: who is signed in, which section is shown, and the live events behind it.
import { get, post, follow } from "./api.js";
import { announce, badge, errorBox, h, replace } from "./dom.js";
import { sections, signIn } from "./views.js";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const eventsKept = 200;
const refreshAfterMs = 300; // several changes in one moment cause one refresh

// `watch` is what a section that is not drawn over looks at changes with; null for none.
const session = { me: null, events: [], eventKinds: null, stop: null, refresh: 0, drawn: 0, watch: null };

async function start() {
  replace(main, h("p", { class: "loading" }, "Loading\u2026"));
  try {
    session.me = await get("/smack/v1/whoami");
  } catch (error) {
    showSignIn(error);
    return;
  }
  drawAccount();
  session.stop ??= follow({ change: onChange, reset: refreshSoon, state: drawLive }, await someRevisionsAgo());
  await draw();
}

/// Where the events of a while ago begin, so that the list of them does not begin empty.
async function someRevisionsAgo() {
  try {
    const [epoch, number] = (await get("/smack/v1/status")).cluster.revision.split(".");
    return `${epoch}.${Math.max(0, Number(number) - eventsKept / 2)}`;
  } catch {
    return null; // who may not see that begins now
  }
}

function showSignIn(error) {
  session.stop?.();
  Object.assign(session, { me: null, stop: null, events: [], watch: null });
  nav.hidden = true;
  replace(document.getElementById("account"));
  replace(document.getElementById("live"));
  document.title = "Sign in \u00b7 smackd";
  // The first visit is not a failure: only what is not the plain "who are you" is shown as one.
  replace(main, signIn(start, error.code === "unauthenticated" ? null : error));
  document.getElementById("user")?.focus();
}

function drawAccount() {
  const leave = async () => {
    try {
      await post("/smack/v1/logout");
    } finally {
      showSignIn({ code: "unauthenticated" });
      announce("Signed out");
    }
  };
  replace(document.getElementById("account"),
    h("a", { href: "#/me" }, session.me.user),
    h("button", { type: "button", class: "quiet", onclick: leave }, "Sign out"));
}

function drawLive(state) {
  const words = { live: ["live", "good"], waiting: ["reconnecting", "warn"], off: null }[state];
  replace(document.getElementById("live"), words && badge(words[0], words[1]));
}

function onChange(event) {
  session.events.unshift(event);
  session.events.length = Math.min(session.events.length, eventsKept);
  refreshSoon();
}

function refreshSoon() {
  clearTimeout(session.refresh);
  session.refresh = setTimeout(() => {
    if (document.querySelector("dialog[open]")) return refreshSoon(); // who is asked wants to come back to the same page
    session.watch?.();
    draw({ quietly: true });
  }, refreshAfterMs);
}

/// What has the focus, to find it again in the same page drawn anew: the n-th element of these words.
function placeOfFocus() {
  const one = document.activeElement;
  if (!one || one === main || !main.contains(one)) return () => {};
  const words = (element) => `${element.tagName} ${element.id} ${element.getAttribute("aria-label") ?? element.textContent}`;
  const alike = () => [...main.querySelectorAll(one.tagName)].filter((element) => words(element) === words(one));
  const at = alike().indexOf(one);
  return () => (alike()[at] ?? alike()[0])?.focus({ preventScroll: true });
}

function current() {
  const [, name, rest] = /^#?\/?([^/]*)(.*)$/.exec(location.hash);
  return [sections.find((section) => section.path === name) ?? sections[0], rest];
}

function drawNav(shown) {
  nav.hidden = false;
  replace(nav, h("ul", null, sections.filter((section) => !section.hidden).map((section) => h("li", null,
    h("a", { href: `#/${section.path}`, "aria-current": section === shown ? "page" : null }, section.title)))));
}

async function draw({ quietly = false } = {}) {
  if (!session.me) return;
  const [shown, rest] = current();
  // What is being typed or read is not drawn over.
  if (quietly && (shown.still || main.querySelector("textarea:focus, input:focus, select:focus"))) return;
  const turn = ++session.drawn;
  if (!quietly) session.watch = null;
  drawNav(shown);
  if (!quietly) nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${shown.title} \u00b7 smackd`;
  if (!quietly) replace(main, h("p", { class: "loading" }, "Loading\u2026"));
  let content;
  try {
    content = await shown.view(session, rest === "/" ? "" : rest);
  } catch (error) {
    if (error.code === "unauthenticated") return showSignIn(error);
    content = [h("h1", null, shown.title), errorBox(error),
      h("button", { type: "button", onclick: () => draw() }, "Try again")];
  }
  if (turn !== session.drawn || !session.me) return; // a newer one is on its way
  const focusAgain = quietly ? placeOfFocus() : () => {};
  replace(main, content);
  focusAgain();
}

window.addEventListener("hashchange", async () => {
  await draw();
  main.focus();
});
start();
