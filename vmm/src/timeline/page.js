"use strict";
const report = JSON.parse(document.getElementById("data").textContent);
const KINDS = [["vmm", "VMM"], ["firmware", "firmware"], ["boot-device", "boot device"], ["boot-loader", "boot loader"], ["kernel", "kernel"], ["userspace", "userspace"]];
const REASONS = ["port write", "port read", "register write", "register read", "end of interrupt", "interrupt window", "woken"];
const ROWS = 120;
const byId = id => document.getElementById(id);
const kindColour = kind => `var(--${kind})`;
const count = n => n.toLocaleString("en");
const phases = report.phases.map((p, i) => ({ ...p, i, n: p.exits.reduce((s, e) => s + e.count, 0) }));
let shown = null;

function time(us) {
  if (us >= 10e6) return (us / 1e6).toFixed(1) + " s";
  if (us >= 1e6) return (us / 1e6).toFixed(2) + " s";
  if (us >= 100e3) return (us / 1e3).toFixed(0) + " ms";
  if (us >= 1e3) return (us / 1e3).toFixed(1) + " ms";
  return us ? Math.round(us) + " µs" : "0";
}
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  return fill(element, attributes, children);
}
function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}
function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}
function tip(event, ...lines) {
  const box = byId("tip");
  box.replaceChildren(make("strong", {}, lines[0]), ...lines.slice(1).filter(Boolean).map(line => make("em", {}, line)));
  box.hidden = false;
  box.style.left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 12) + "px";
  box.style.top = Math.min(event.clientY + 16, innerHeight - box.offsetHeight - 12) + "px";
}
const untip = () => { byId("tip").hidden = true; };
const hover = lines => ({ mousemove: event => tip(event, ...lines()), mouseleave: untip });

// The devices with most exits have a colour each.
const totals = new Map();
phases.forEach(p => p.exits.forEach(e => totals.set(e.device, (totals.get(e.device) || 0) + e.count)));
const ranked = [...totals].sort((a, b) => b[1] - a[1]).map(([name]) => name);
const coloured = ranked.slice(0, 6);
const deviceColour = name => coloured.includes(name) ? `var(--d${coloured.indexOf(name)})` : "var(--d6)";

function header() {
  const m = report.machine;
  const mib = m.memory / 2 ** 20;
  const facts = [
    m.firmware === "none" ? "no firmware" : "firmware " + m.firmware.split("/").pop(),
    m.kernel && "kernel " + m.kernel.split("/").pop(),
    m.cpus === 1 ? "1 CPU" : m.cpus + " CPUs",
    mib % 1024 === 0 ? mib / 1024 + " GiB" : mib + " MiB",
    ...m.disks.slice(0, 4).map(d => d.path.split("/").pop() + " on " + d.bus),
    new Date(report.date * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC",
  ];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
  if (m.name) byId("title").textContent = "Boot of " + m.name;
  const boots = phases.filter(p => p.cause === "first instruction" || p.cause.startsWith("reset: ")).length;
  byId("foot").textContent = `Recorded by tinderbox ${report.tinderbox}. The end: ${report.ending}.` +
    (boots > 1 ? ` The machine started ${boots} times; the milestones are those of the first.` : "") +
    (report.phases_lost ? ` ${count(report.phases_lost)} more phases are not recorded.` : "");
}

function tiles() {
  const first = kind => phases.find(p => p.kind === kind);
  const entry = phases.find(p => p.cause === "first instruction");
  const banner = phases.find(p => p.kind === "firmware" && p.text);
  const entries = [
    ["first instruction", entry, "vmm"], ["firmware's banner", banner, "firmware"], ["first boot device", first("boot-device"), "boot-device"],
    ["boot loader", first("boot-loader"), "boot-loader"], ["kernel", first("kernel"), "kernel"], ["userspace", first("userspace"), "userspace"],
  ];
  const tile = (label, value, kind) => make("div", { class: "tile", style: `--accent: ${kind ? kindColour(kind) : "var(--faint)"}` }, make("b", {}, value), make("span", {}, label));
  byId("tiles").append(
    ...entries.filter(([, p]) => p).map(([label, p, kind]) => tile(label, time(p.start_us), kind)),
    tile("in all", time(report.end_us)),
    tile("exits to the VMM", count(phases.reduce((s, p) => s + p.n, 0))),
  );
}

function ticks(from, to) {
  const rough = (to - from) / 8;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough) || power;
  const all = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) all.push(t);
  return all;
}

function chart() {
  const [from, to] = shown === null ? [0, report.end_us] : [phases[shown].start_us, Math.max(phases[shown].end_us, phases[shown].start_us + 1)];
  const left = 168, right = 1100, width = right - left;
  const x = us => left + (Math.min(Math.max(us, from), to) - from) / (to - from) * width;
  const rows = phases.slice(0, ROWS), rowHeight = 24, top = 8;
  const bottom = top + rows.length * rowHeight, histTop = bottom + 44, histHeight = 130, end = histTop + histHeight;
  const root = byId("chart");
  root.setAttribute("viewBox", `0 0 1180 ${end + 26}`);
  const parts = [];
  for (const t of ticks(from, to)) {
    parts.push(svg("line", { class: "grid", x1: x(t), x2: x(t), y1: top, y2: end }));
    parts.push(svg("text", { x: x(t), y: bottom + 18, "text-anchor": "middle" }, time(t)));
  }
  for (const p of rows) {
    const y = top + p.i * rowHeight;
    const lines = () => [`${p.name}: ${time(p.end_us - p.start_us)}`, `from ${time(p.start_us)} by ${p.cause}`, p.text, `${count(p.n)} exits`];
    const inside = p.start_us < to && p.end_us > from || p.start_us === p.end_us;
    const from_x = x(p.start_us), bar = Math.max(x(p.end_us) - from_x, 2);
    const after = from_x + bar + 8;
    const label = after < right - 10 ? { x: after, "text-anchor": "start" } : { x: Math.max(from_x - 8, left), "text-anchor": "end" };
    const covered = after >= right - 10 && from_x - 8 < left + 50;
    parts.push(svg("g", { class: "row" + (shown === p.i ? " on" : ""), on: { ...hover(lines), click: () => show(shown === p.i ? null : p.i) } },
      svg("rect", { class: "hit", x: 0, y, width: 1180, height: rowHeight, rx: 5 }),
      svg("text", { class: "name", x: left - 12, y: y + 16, "text-anchor": "end" }, p.name.length > 22 ? p.name.slice(0, 21) + "…" : p.name),
      ...(inside ? [svg("rect", { x: from_x, y: y + 4, width: bar, height: rowHeight - 8, rx: 3, style: `fill: ${kindColour(p.kind)}` })] : []),
      ...(inside ? [svg("text", covered ? { x: right + 8, y: y + 16 } : { ...label, y: y + 16 }, time(p.end_us - p.start_us))] : []),
    ));
  }
  parts.push(...histogram(from, to, x, histTop, histHeight, left, right));
  root.replaceChildren(...parts);
  byId("all").hidden = shown === null;
}

// Exits per time, stacked by device. Slices narrower than a pixel or two are put together.
function histogram(from, to, x, top, height, left, right) {
  const { slice_us, devices, counts } = report.exits_over_time;
  const lowest = Math.floor(from / slice_us), highest = Math.min(Math.ceil(to / slice_us), counts.length);
  const group = Math.max(1, Math.ceil((to - from) / slice_us / 230));
  const columns = [];
  for (let at = lowest; at < highest; at += group) {
    const sums = new Map();
    for (const slice of counts.slice(at, Math.min(at + group, highest)))
      slice.forEach((n, d) => { if (n) { const key = coloured.includes(devices[d]) ? devices[d] : "others"; sums.set(key, (sums.get(key) || 0) + n); } });
    columns.push({ start: at * slice_us, end: (at + group) * slice_us, sums, all: [...sums.values()].reduce((a, b) => a + b, 0) });
  }
  const most = Math.max(1, ...columns.map(c => c.all)), bottom = top + height;
  const per = time(group * slice_us);
  const parts = [
    svg("text", { x: left - 12, y: top + 4, "text-anchor": "end" }, count(most)),
    svg("text", { class: "name", x: left - 12, y: top + height / 2, "text-anchor": "end" }, "exits"),
    svg("text", { x: left - 12, y: top + height / 2 + 16, "text-anchor": "end" }, "per " + per),
    svg("text", { x: left - 12, y: bottom + 4, "text-anchor": "end" }, "0"),
    svg("line", { class: "grid", x1: left, x2: right, y1: top, y2: top }),
  ];
  for (const c of columns.filter(c => c.all)) {
    let y = bottom;
    const x0 = x(c.start), w = Math.max(x(c.end) - x0 - .6, .8);
    const lines = () => [`${time(c.start)}: ${count(c.all)} exits in ${per}`, ...[...c.sums].sort((a, b) => b[1] - a[1]).map(([d, n]) => `${d}: ${count(n)}`)];
    const column = svg("g", { on: hover(lines) }, svg("rect", { x: x0, y: top, width: w + .6, height, style: "fill: transparent" }));
    for (const device of [...coloured, "others"]) {
      const n = c.sums.get(device) || 0, h = n / most * height;
      if (!n) continue;
      y -= h;
      column.append(svg("rect", { x: x0, y, width: w, height: h, style: `fill: ${deviceColour(device)}` }));
    }
    parts.push(column);
  }
  parts.push(svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
  const used = [...coloured, ...(ranked.length > coloured.length ? ["others"] : [])];
  byId("devices").replaceChildren(...used.map(d => make("span", { style: `--c: ${deviceColour(d)}` }, d)));
  return parts;
}

// Exits by device, each split by reason.
function detail() {
  const of = shown === null ? phases : [phases[shown]];
  const table = new Map();
  of.forEach(p => p.exits.forEach(e => {
    const row = table.get(e.device) || new Map();
    table.set(e.device, row.set(e.reason, (row.get(e.reason) || 0) + e.count));
  }));
  const rows = [...table].map(([device, reasons]) => ({ device, reasons, all: [...reasons.values()].reduce((a, b) => a + b, 0) })).sort((a, b) => b.all - a.all);
  const most = Math.max(1, ...rows.map(r => r.all));
  byId("detail-title").textContent = "Exits by device" + (shown === null ? "" : ", in " + phases[shown].name);
  const box = make("div", { class: "split" });
  for (const r of rows.slice(0, 16)) {
    const bar = make("i", { style: `width: ${r.all / most * 100}%` });
    const parts = [...r.reasons].sort((a, b) => REASONS.indexOf(a[0]) - REASONS.indexOf(b[0]));
    parts.forEach(([reason, n], at) => bar.append(make("u", { style: `width: ${n / r.all * 100}%; background: ${deviceColour(r.device)}; opacity: ${1 - at * .28}` })));
    const text = parts.map(([reason, n]) => `${reason}: ${count(n)}`);
    const track = make("div", { on: hover(() => [r.device, ...text]) }, bar, make("span", { style: "color: var(--faint); font-size: 12.5px" }, text.join(" · ")));
    box.append(make("span", {}, r.device), track, make("span", { class: "n" }, count(r.all)));
  }
  if (!rows.length) box.append(make("span", {}, "none"));
  byId("detail").replaceChildren(box);
}

function table() {
  const head = make("tr", {}, ...["Phase", "begins at", "takes", "exits"].map((t, i) => make("th", i ? { class: "n" } : {}, t)), make("th", {}, "begun by"));
  const rows = phases.map(p => make("tr", {},
    make("td", { class: "name", style: `--c: ${kindColour(p.kind)}` }, p.name),
    make("td", { class: "n" }, time(p.start_us)), make("td", { class: "n" }, time(p.end_us - p.start_us)), make("td", { class: "n" }, count(p.n)),
    make("td", {}, p.cause, ...(p.text ? [make("br"), make("code", {}, p.text)] : []))));
  byId("phases").append(head, ...rows);
}

function show(phase) {
  shown = phase;
  untip();
  chart();
  detail();
}

header();
tiles();
const used = new Set(phases.map(p => p.kind));
byId("kinds").append(...KINDS.filter(([k]) => used.has(k)).map(([k, name]) => make("span", { style: `--c: ${kindColour(k)}` }, name)));
byId("all").addEventListener("click", () => show(null));
show(null);
table();
