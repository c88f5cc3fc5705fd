// Small helpers of the pages: local times, charts, keyboard. What is pushed and swapped is htmx's.
"use strict";
(() => {
  const language = document.documentElement.lang;
  const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const relative = new Intl.RelativeTimeFormat(language, { style: "short", numeric: "auto" });
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  function ago(at) {
    const seconds = (at - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS[3];
    return relative.format(Math.trunc(seconds / size), unit);
  }

  // Times are local, with UTC on hover; `data-ago` counts from now.
  function times(within = document) {
    for (const time of all("time", within)) {
      const at = new Date(time.dateTime);
      const counts = "ago" in time.dataset || "lasting" in time.dataset;
      const text = !counts ? absolute.format(at) : "ago" in time.dataset ? ago(at) : spans(Math.max(0, (Date.now() - at) / 1000));
      time.title = counts ? `${absolute.format(at)} (${time.dateTime})` : time.dateTime;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  const css = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
  const spans = (seconds) => {
    if (seconds == null) return "–";
    if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
    return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
  };
  const SPANS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 18000, 36000, 72000, 180000, 360000];
  const CHARTS = {
    ends: { of: ["completed", "partial", "failed"], colours: ["completed", "partial", "failed"], bars: true },
    stand: { of: ["queued", "running"], colours: ["queued", "running"] },
    waits: { of: ["wait_p50", "wait_p95"], colours: ["running", "queued"], show: spans },
    runs: { of: ["run_p50", "run_p95"], colours: ["running", "queued"], show: spans },
  };
  const plots = new Map();

  function stacked(columns) {
    const sums = columns[0].map(() => 0);
    return columns.map((column) => column.map((value, place) => (sums[place] += value ?? 0)));
  }

  function draw(name, figure, series) {
    const chart = CHARTS[name];
    const labels = JSON.parse(figure.dataset.labels);
    const plain = chart.of.map((key) => series[key]);
    const columns = chart.bars ? stacked(plain).reverse() : plain;
    const data = [series.at, ...columns];
    const known = plots.get(figure);
    if (known) return known.setData(data);
    const [grid, dim] = [css("line"), css("dim")];
    const order = chart.bars ? [...chart.of.keys()].reverse() : [...chart.of.keys()];
    const show = (value) => value == null ? "" : (chart.show ?? ((number) => number.toLocaleString(language)))(value);
    const day = series.at.at(-1) - series.at[0] > 86400;
    const clock = new Intl.DateTimeFormat(language, day ? { month: "numeric", day: "numeric", hour: "2-digit", hourCycle: "h23" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const axis = { stroke: dim, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const plot = figure.querySelector(".plot");
    plots.set(figure, new uPlot({
      width: plot.clientWidth, height: 190, padding: [8, 8, 0, 0],
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high, chart.show ? 0.1 : 1) * 1.08] } },
      axes: [{ ...axis, size: 28, space: day ? 90 : 56, values: (_, ticks) => ticks.map((tick) => clock.format(new Date(tick * 1000))) }, { ...axis, size: 52, incrs: chart.show && SPANS, values: (_, ticks) => ticks.map((tick) => chart.show ? chart.show(tick) : Number.isInteger(tick) ? tick.toLocaleString(language) : "") }],
      series: [{ label: figure.dataset.time, value: (_, at) => at == null ? "" : clock.format(new Date(at * 1000)) }, ...order.map((place) => ({
        label: labels[place], stroke: css(chart.colours[place]), width: chart.bars ? 0 : 2, spanGaps: !!chart.show,
        fill: chart.bars ? css(chart.colours[place]) : undefined,
        paths: chart.bars ? uPlot.paths.bars({ size: [0.8, 40] }) : undefined,
        points: { show: (_, line) => !chart.bars && columns[line - 1].filter((one) => one != null).length < 12, size: 5 },
        value: (_, value, __, at) => show(at == null ? null : plain[place][at]),
      }))],
    }, data, plot));
  }

  function charts() {
    const source = document.getElementById("series");
    for (const [figure, plot] of plots) if (!figure.isConnected) { plot.destroy(); plots.delete(figure); }
    if (!source || !window.uPlot) return;
    const series = JSON.parse(source.value);
    for (const name of Object.keys(CHARTS)) {
      const figure = document.getElementById(`chart_${name}`);
      if (figure) draw(name, figure, series);
    }
  }
  const redraw = () => { for (const plot of plots.values()) plot.destroy(); plots.clear(); charts(); };

  // Rows of a list: j and k move, x selects, Enter opens; r and c press what the page offers.
  const rows = () => all("tr[data-row]");
  function move(by) {
    const list = rows();
    if (!list.length) return;
    const at = list.findIndex((row) => row.classList.contains("here"));
    list[at]?.classList.remove("here");
    const next = list[Math.min(Math.max(at + by, 0), list.length - 1)];
    next.classList.add("here");
    next.querySelector("a")?.focus();
    next.scrollIntoView({ block: "nearest" });
  }
  function press(key) {
    const here = document.querySelector("tr.here");
    const any = all("tr[data-row] input:checked").length > 0;
    const target = any ? document.querySelector(`button[data-key="${key}"]`) : (here ?? document.querySelector("[data-keys]"))?.querySelector(`[data-key="${key}"]`);
    target?.click();
  }
  const KEYS = {
    "/": () => document.querySelector("input[type=search]")?.focus(),
    j: () => move(1), k: () => move(-1),
    x: () => document.querySelector("tr.here input[type=checkbox]")?.click(),
    r: () => press("r"), c: () => press("c"),
    "?": () => document.getElementById("shortcuts").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog[open]");
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("#keys")) document.getElementById("shortcuts").showModal();
    const copies = event.target.closest("[data-copy]");
    if (copies) copy(copies);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) for (const box of all("tr[data-row] input[type=checkbox]")) box.checked = event.target.checked;
    if (event.target.matches("select[data-go]")) event.target.form.requestSubmit();
    chosen();
  });
  // What acts on selected rows says how many there are.
  function chosen() {
    const count = all("tr[data-row] input:checked").length;
    for (const element of all("[data-chosen]")) element.hidden = !count;
    for (const element of all("[data-unchosen]")) element.hidden = !!count;
    for (const element of all("[data-count]")) element.textContent = count.toLocaleString(language);
  }

  // Without TLS a browser gives pages no clipboard: then the text is selected, and the reader copies it.
  async function copy(button) {
    const source = document.querySelector(button.dataset.copy);
    if (!navigator.clipboard) return getSelection().selectAllChildren(source);
    await navigator.clipboard.writeText(source.textContent);
    for (const told of all("[data-copied]", button.parentElement)) told.hidden = false;
  }

  // A press swaps away what had the focus. It goes to what stands there now: the same control, or the one in its place,
  // or the row of the one job that was moved, or else to what is told of it; never to the top of the page.
  let pressed = null;
  const fixed = (form) => all("input[type=hidden]", form).map((field) => `${field.name}=${field.value}`).join("&");
  const named = (control) => `${control.localName} ${control.name} ${control.localName === "button" ? control.value : ""}`;
  document.addEventListener("submit", ({ target: form, submitter }) => {
    const held = form.contains(document.activeElement) ? document.activeElement : submitter;
    pressed = { action: form.getAttribute("action"), fixed: fixed(form), control: held && named(held), place: [...form.elements].indexOf(held), ids: all("input[type=hidden][name=id]", form).map((field) => field.value) };
  });
  function successor({ action, fixed: same, control, place, ids }) {
    const form = all("main form").find((one) => one.getAttribute("action") === action && fixed(one) === same);
    const controls = form ? [...form.elements] : [];
    const row = ids.length === 1 ? document.getElementById(`job_${ids[0]}`) : null;
    row?.classList.add("here");
    return controls.find((one) => named(one) === control) ?? controls[place] ?? row?.querySelector("a");
  }
  function refocus() {
    if (document.activeElement !== document.body) return; // a part was merged, or the page says where to begin
    const notice = document.querySelector(".notice"), next = pressed && successor(pressed);
    (next ?? notice ?? document.getElementById("main")).focus({ preventScroll: !next });
    document.getElementById("told").textContent = next && notice ? notice.textContent : "";
    pressed = null;
  }

  // A part that is pushed again is merged: a time that is the same keeps its local text, a box stays as it was set.
  htmx.registerExtension("local", {
    htmx_before_morph_node: (element, { oldNode, newNode }) => {
      if (oldNode.nodeName === "TIME" && oldNode.dateTime === newNode.dateTime) return false;
      if (oldNode.nodeName === "INPUT" && oldNode.name === newNode.name && oldNode.value === newNode.value) return false;
      if (oldNode.nodeName === "DETAILS") newNode.open = oldNode.open;
      if (oldNode.classList?.contains("here")) newNode.classList.add("here");
    },
  });
  function settle() {
    times(); charts(); chosen();
    const strip = document.querySelector(".side nav"), current = strip?.querySelector("[aria-current]");
    if (current && strip.scrollWidth > strip.clientWidth) strip.scrollLeft = current.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;
    for (const place of all("[data-origin]")) place.textContent = document.querySelector(".brand").href.replace(/\/$/, "");
  }
  document.addEventListener("htmx:after:swap", () => { settle(); refocus(); });
  // Nobody looks: no connection, until somebody does.
  document.addEventListener("htmx:sse:before:connection", (event) => { if (document.hidden) event.preventDefault(); });
  // While there is none, what stands here grows old, and nothing else would tell: it is said, and one is opened anew.
  const QUIET = 40000, AGAIN = 5000; // the daemon is heard at least every 15 s
  let heard = Date.now(), asking = null;
  const away = (gone) => { const told = document.getElementById("away"); if (told) told.hidden = !gone; };
  const hear = () => { heard = Date.now(); away(false); };
  function reconnect() {
    const from = document.getElementById("stream"), open = from?._htmx?.sse;
    if (document.hidden || !from || from === asking) return;
    if (!open) htmx.trigger(from, "again");
    else if (Date.now() - heard > QUIET) { away(true); open.reader?.cancel(); }
  }
  document.addEventListener("htmx:before:request", ({ target }) => { if (target.id === "stream") asking = target; });
  document.addEventListener("htmx:finally:request", ({ target }) => { if (target === asking) asking = null; });
  for (const name of ["connection", "message"]) document.addEventListener(`htmx:sse:after:${name}`, hear);
  document.addEventListener("htmx:sse:error", (event) => { if (event.detail.status === 401) location.reload(); else away(true); });
  document.addEventListener("htmx:error", () => away(true));
  document.addEventListener("htmx:response:error", ({ target }) => { if (target.id === "stream") away(true); });
  document.addEventListener("visibilitychange", () => { heard = Date.now(); reconnect(); });
  setInterval(reconnect, AGAIN);
  addEventListener("resize", () => { clearTimeout(redraw.timer); redraw.timer = setTimeout(redraw, 200); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  setInterval(times, 1000);
  settle();
})();
