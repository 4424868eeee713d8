// The dashboard's one script. Pages work without it: it adds live rows, the pane beside the list, keys and copying.
// Markup it inserts comes from this server's own components and goes through DOMParser, where nothing runs; recorded
// content is already escaped text in it.
"use strict";

const $ = (sel, root = document) => root.querySelector(sel);
const $$ = (sel, root = document) => [...root.querySelectorAll(sel)];
const parse = (html) => new DOMParser().parseFromString(html, "text/html");
const wide = () => matchMedia("(min-width: 1100px)").matches;

document.documentElement.classList.add("scripted");

// One polite region, at most one sentence every 5 seconds; the last one wins.
const say = (() => {
  let last = 0, timer = 0;
  return (text) => {
    clearTimeout(timer);
    const wait = Math.max(0, last + 5000 - Date.now());
    timer = setTimeout(() => { last = Date.now(); const p = $("#say"); if (p) p.textContent = text; }, wait);
  };
})();

// --- copying ---
async function copy(button) {
  const from = button.dataset.copyFrom;
  const text = from ? document.getElementById(from)?.textContent : button.dataset.copy;
  if (text == null) return;
  const word = $("span", button);
  const before = word.dataset.word ?? (word.dataset.word = word.textContent);
  try {
    await navigator.clipboard.writeText(text);
    word.textContent = "Copied";
    button.classList.add("done");
    say("Copied");
  } catch {
    word.textContent = "Select and copy";
    const node = from && document.getElementById(from);
    if (node) getSelection().selectAllChildren(node);
  }
  setTimeout(() => { word.textContent = before; button.classList.remove("done"); }, 2000);
}

// --- long work ---
document.addEventListener("submit", (e) => {
  const text = e.target.dataset.busy;
  const button = text && $("button", e.target);
  if (!button) return;
  button.textContent = text;
  say(text);
  setTimeout(() => { button.disabled = true; }); // after the form is on its way
});

// --- clicks that the script improves ---
document.addEventListener("click", (e) => {
  if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  const button = e.target.closest("[data-copy], [data-copy-from]");
  if (button) return void copy(button);
  if (e.target.closest("[data-print]")) return void print();
  const opener = e.target.closest("[data-dialog]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.dialog);
    if (dialog) { e.preventDefault(); dialog.showModal(); }
    return;
  }
  const menu = $("details[data-menu][open]");
  if (menu && !menu.contains(e.target)) menu.open = false;
  const step = e.target.closest("[data-step]");
  if (step) { e.preventDefault(); return walk(step.dataset.step === "next" ? 1 : -1); }
  const finding = e.target.closest("a[data-finding]");
  if (finding) return noteFinding(finding);
  const mover = list && e.target.closest("[data-move]");
  if (mover) return list.move(Number(mover.dataset.move));
  if (list) list.click(e);
});

const toast = $("[data-toast]");
if (toast) {
  let timer = setTimeout(() => toast.remove(), 6000);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", () => { timer = setTimeout(() => toast.remove(), 3000); });
}

// --- findings and lines ---
function noteFinding(link) {
  for (const a of $$(".fitem[aria-current]")) a.removeAttribute("aria-current");
  const key = link.dataset.finding;
  const item = document.getElementById("l-" + key);
  item?.setAttribute("aria-current", "true");
  const path = $("#path");
  if (path && item) path.textContent = item.dataset.path ?? "";
  const callout = document.getElementById(key);
  if (callout) {
    callout.classList.remove("shut");
    requestAnimationFrame(() => callout.focus({ preventScroll: true }));
  }
  const stepper = $("#stepper");
  const all = $$(".fitem");
  if (stepper && item) stepper.textContent = `Finding ${all.indexOf(item) + 1} of ${all.length}`;
}

function walk(by) {
  const all = $$(".fitem");
  if (!all.length) return;
  const now = all.findIndex((a) => a.hasAttribute("aria-current"));
  const next = all[now < 0 ? (by > 0 ? 0 : all.length - 1) : (now + by + all.length) % all.length];
  next.click();
}

// Arriving with a fragment marks the finding that belongs to the line.
function arrive() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!id || $(".fitem[aria-current]")) return;
  const item = $$(".fitem").find((a) => a.hash === location.hash && a.pathname === location.pathname);
  if (item) noteFinding(item);
}
if ($("[data-exchange]")) addEventListener("load", arrive);

// A page of an exchange that waits for its verdict is read again when it has one.
const waiting = $("[data-exchange][data-open]");
if (waiting) {
  const source = new EventSource("/api/v1/stream");
  const id = waiting.dataset.open;
  source.addEventListener("open", async () => { if ((await fetch("/api/v1/exchanges/" + id + "/report", { method: "GET" })).ok) location.reload(); });
  source.addEventListener("report", (e) => { if (JSON.parse(e.data).id === id) location.reload(); });
  addEventListener("pagehide", () => source.close());
}

// --- the list ---
const list = $("[data-list]") && (() => {
  const rows = $("#rows"), scroll = $("#scroll"), pane = $("#pane"), main = $("[data-list]"), pill = $("#pill");
  let held = []; // rows that arrived while something was selected or scrolled, oldest first
  const most = 500;

  const selected = () => $("tr[aria-selected]", rows);
  const settled = () => !selected() && scroll.scrollTop < 8 && scrollY < 8 && !scroll.dataset.first;
  const rowOf = (html) => document.adoptNode($("tr", parse("<table><tbody>" + html + "</tbody></table>")));

  function place(tr) {
    const n = Number(tr.dataset.n);
    const old = document.getElementById(tr.id);
    if (old) {
      if (old.hasAttribute("aria-selected")) { tr.setAttribute("aria-selected", "true"); refresh(tr); }
      const focused = old.contains(document.activeElement);
      old.replaceWith(tr);
      if (focused) $("a", tr).focus({ preventScroll: true });
      return;
    }
    const before = [...rows.children].find((r) => Number(r.dataset.n) < n);
    tr.classList.add("fresh");
    rows.insertBefore(tr, before ?? null);
    const older = $("#older");
    if (older && rows.children.length > most) {
      rows.lastElementChild.remove();
      const url = new URL(older.href);
      url.searchParams.set("before", rows.lastElementChild.dataset.n);
      older.href = url;
    }
  }

  function show() {
    $(".empty", scroll)?.remove();
    $("table", scroll).hidden = false;
  }

  function tell() {
    pill.hidden = held.length === 0;
    if (!held.length) return;
    const failed = held.filter((r) => r.dataset.failed).length;
    const text = `${held.length} new` + (failed ? `, ${failed} failed` : "");
    $("span", pill).textContent = text;
    say(text);
  }

  function release() {
    if (scroll.dataset.first) { location.href = scroll.dataset.first; return; }
    close(false);
    held.forEach(place);
    held = [];
    tell();
    scroll.scrollTop = 0;
    scrollTo(0, 0);
  }
  pill.addEventListener("click", release);

  function row(html) {
    const tr = rowOf(html);
    if (!tr) return;
    show();
    const known = document.getElementById(tr.id);
    const at = held.findIndex((r) => r.id === tr.id);
    if (known) place(tr);
    else if (at >= 0) held[at] = tr;
    else if (settled() && !held.length) { place(tr); say(tr.dataset.failed ? "1 new exchange, failed" : "1 new exchange"); }
    else if (Number(tr.dataset.n) > Number(rows.firstElementChild?.dataset.n ?? 0)) held.push(tr);
    tell();
  }

  // The pane.
  let asked = "";
  async function open(tr, focus) {
    selected()?.removeAttribute("aria-selected");
    tr.setAttribute("aria-selected", "true");
    main.classList.remove("solo");
    tr.scrollIntoView({ block: "nearest" });
    if (focus) $("a", tr).focus({ preventScroll: true });
    await refresh(tr);
    const url = new URL(location.href);
    url.searchParams.set("selected", tr.dataset.href.split("/").pop());
    history.replaceState(null, "", url);
  }
  async function refresh(tr) {
    const href = asked = tr.dataset.href;
    try {
      const answer = await fetch(href + "/pane", { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const doc = parse(await answer.text());
      if (asked === href) pane.replaceChildren(...[...doc.body.childNodes].map((n) => document.adoptNode(n)));
    } catch {
      if (asked === href) { const p = document.createElement("p"); p.className = "in soft"; p.textContent = "The exchange could not be read. Our fault. Open its page or try again."; pane.replaceChildren(p); }
    }
  }
  function close(focus) {
    const tr = selected();
    asked = "";
    tr?.removeAttribute("aria-selected");
    pane.replaceChildren();
    main.classList.add("solo");
    if (focus && tr) $("a", tr).focus({ preventScroll: true });
    const url = new URL(location.href);
    if (url.searchParams.has("selected")) { url.searchParams.delete("selected"); history.replaceState(null, "", url); }
  }

  function click(e) {
    if (e.target.closest("[data-close]")) { e.preventDefault(); close(true); return; }
    const tr = e.target.closest("#rows tr");
    if (!tr || !getSelection().isCollapsed) return;
    if (wide()) { e.preventDefault(); open(tr, true); } else if (!e.target.closest("a")) location.href = tr.dataset.href;
  }

  function move(by) {
    const all = [...rows.children];
    if (!all.length) return;
    const now = all.indexOf(selected() ?? document.activeElement?.closest("#rows tr"));
    const next = all[Math.min(all.length - 1, Math.max(0, now + by))];
    if (wide()) open(next, true); else $("a", next).focus();
  }

  // Live rows. The browser reconnects by itself and says the last number it saw.
  if (scroll.dataset.events) {
    const url = new URL(scroll.dataset.events, location.href);
    url.searchParams.set("after", scroll.dataset.newest);
    if ($("tr[data-open]", rows)) url.searchParams.set("open", "1");
    let source;
    const light = (on) => { $("#light").classList.toggle("off", !on); $("#light-word").textContent = on ? "Recording" : "Reconnecting"; };
    const connect = () => {
      source = new EventSource(url);
      source.addEventListener("open", () => light(true));
      source.addEventListener("error", () => {
        light(false);
        // A refusal ends an EventSource for good; try again from the newest row.
        if (source.readyState === EventSource.CLOSED) {
          const seen = Math.max(0, ...[...rows.children, ...held].map((r) => Number(r.dataset.n)));
          if (seen) url.searchParams.set("after", seen);
          setTimeout(connect, 2000);
        }
      });
      source.addEventListener("row", (e) => row(e.data));
      source.addEventListener("reset", () => { scroll.dataset.first ||= location.pathname + location.search; $("span", pill).textContent = "Many new"; pill.hidden = false; });
      source.addEventListener("state", (e) => {
        const state = JSON.parse(e.data);
        const set = (el, text) => { if (el && text != null) el.textContent = text; };
        set($("#summary"), state.summary);
        if (!scroll.dataset.first && rows.children.length) set($("#position"), `1 to ${rows.children.length.toLocaleString("en-US")} of ${state.total}`);
        set($('[data-count="Live"]'), state.live);
        const backlog = $("#backlog");
        backlog.hidden = !state.to_check;
        set($("span", backlog), state.to_check);
      });
    };
    connect();
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
  }
  return { click, move, close, release, selected };
})();

// Of many tabs the current one is in view.
$(".tabs a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// --- parts that follow the traffic ---
// The server renders the part; what is chosen, focused or scrolled stays. It is read at most every half second, and only put in
// place when it says something else.
const fresh = $("#fresh[data-fresh]");
if (fresh) {
  let busy = false, again = false, last = "", source;
  const gap = 500;
  const folded = (el) => el.textContent.replace(/\d+/g, "").trim();
  const spot = (el) => !el || !fresh.contains(el) ? null : el.id ? "#" + CSS.escape(el.id) : el.matches("a[href]") ? `a[href="${CSS.escape(el.getAttribute("href"))}"]` : null;
  async function read() {
    if (busy) { again = true; return; }
    busy = true;
    const began = performance.now();
    try {
      const answer = await fetch(fresh.dataset.fresh, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const html = await answer.text();
      if (html !== last) {
        last = html;
        const focused = spot(document.activeElement);
        const places = $$(".mx", fresh).map((el) => [el.getAttribute("aria-label"), el.scrollLeft, el.scrollTop]);
        const open = $$("details[open] > summary", fresh).map(folded);
        const said = $("[data-say]", fresh)?.dataset.say;
        const typed = $$("form[id] :is(input[id], select[id])", fresh).map((el) => [el.id, el.value, el.checked]);
        const caret = document.activeElement?.selectionStart;
        const doc = parse(html);
        fresh.replaceChildren(...[...doc.body.childNodes].map((n) => document.adoptNode(n)));
        for (const [id, value, checked] of typed) {
          const el = document.getElementById(id);
          if (el) { if (el.type !== "radio") el.value = value; el.checked = checked; }
        }
        if (focused) {
          const el = $(focused, fresh);
          el?.focus({ preventScroll: true });
          if (caret != null && el?.setSelectionRange) el.setSelectionRange(caret, caret);
        }
        for (const [label, left, top] of places) $(`.mx[aria-label="${CSS.escape(label)}"]`, fresh)?.scrollTo({ left, top, behavior: "instant" });
        for (const el of $$("details > summary", fresh)) if (open.includes(folded(el))) el.parentElement.open = true;
        const now = $("[data-say]", fresh)?.dataset.say;
        if (now && now !== said) say(now);
      }
    } catch { again = true; }
    // A page that takes long to make is read less often.
    setTimeout(() => { busy = false; if (again) { again = false; read(); } }, Math.max(gap, 3 * (performance.now() - began)));
  }
  const connect = () => {
    source = new EventSource("/api/v1/stream");
    const light = (on) => { $("#light").classList.toggle("off", !on); $("#light-word").textContent = on ? "Recording" : "Reconnecting"; };
    source.addEventListener("open", () => { light(true); read(); });
    source.addEventListener("error", () => { light(false); if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000); });
    for (const kind of ["exchange", "report", "verdict", "run", "plans"]) source.addEventListener(kind, read);
  };
  connect();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
}

// The list of plans is read again when a plan's file changed.
if ($("[data-plans]")) {
  const source = new EventSource("/api/v1/stream");
  source.addEventListener("plans", () => location.reload());
  addEventListener("pagehide", () => source.close());
}

// Arrow keys move between the cells of the matrix; Tab and Enter work as everywhere.
document.addEventListener("keydown", (e) => {
  const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
  const cell = by && !e.ctrlKey && !e.metaKey && !e.altKey && e.target.closest("[data-matrix] .cell");
  if (!cell) return;
  const rows = $$("tbody tr", cell.closest("table")).map((tr) => $$(".cell", tr));
  const y = rows.findIndex((r) => r.includes(cell));
  const to = rows[y + by[0]]?.[rows[y].indexOf(cell) + by[1]];
  if (to) { e.preventDefault(); to.focus(); }
});

// --- keys ---
const keysOn = $("#keys-on");
try { if (keysOn) keysOn.checked = localStorage.getItem("keys") !== "off"; } catch { /* storage is off: keys stay on */ }
keysOn?.addEventListener("change", () => { try { localStorage.setItem("keys", keysOn.checked ? "on" : "off"); } catch { /* as above */ } });

let going = 0;
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  const typing = e.target.closest("input, textarea, select, [contenteditable]");
  if (e.key === "Escape") {
    const menu = $("details[data-menu][open]");
    if (menu) { menu.open = false; $("summary", menu).focus(); return; }
    if (typing) { e.target.blur(); return; }
    const callout = e.target.closest(".callout");
    if (callout) { callout.classList.add("shut"); document.getElementById("l-" + callout.id)?.focus(); return; }
    if (list && !$("dialog[open]") && list.selected()) list.close(true);
    return;
  }
  if (typing || $("dialog[open]") || (keysOn && !keysOn.checked)) return;
  const go = (sel) => { const a = $(sel); if (a) { e.preventDefault(); a.click(); } };
  if (going && Date.now() - going < 1500) {
    going = 0;
    const to = { l: "/", f: "/findings", c: "/coverage", s: "/scenarios", r: "/results", y: "/systems", v: "/review" }[e.key];
    if (to) location.href = to;
    return;
  }
  switch (e.key) {
    case "/": { const q = $("#q"); if (q) { e.preventDefault(); q.focus(); q.select(); } break; }
    case "?": $("#keys")?.showModal(); break;
    case "g": going = Date.now(); break;
    case "j": case "ArrowDown": if (list && (e.key === "j" || e.target.closest("#rows"))) { e.preventDefault(); list.move(1); } break;
    case "k": case "ArrowUp": if (list && (e.key === "k" || e.target.closest("#rows"))) { e.preventDefault(); list.move(-1); } break;
    case "Enter": { const tr = list && e.target.closest("a, button, summary") === $("a", list.selected() ?? document.createElement("p")) && list.selected(); if (tr) { e.preventDefault(); location.href = tr.dataset.href; } break; }
    case "Home": if (list && !$("#pill").hidden) { e.preventDefault(); list.release(); } break;
    case "n": if ($(".fitem")) walk(1); else go("[data-key='n']"); break;
    case "p": if ($(".fitem")) walk(-1); else go("[data-key='p']"); break;
    case "d": { const form = $(".reviewbar .decide"); if (form) { e.preventDefault(); form.open = true; ($("input:invalid", form) ?? $("[name=comment]", form)).focus(); } break; }
    case "c": go("[data-key='c']"); break;
    default: if (/^[1-9]$/.test(e.key)) $$(".tabs a")[Number(e.key) - 1]?.click();
  }
});
