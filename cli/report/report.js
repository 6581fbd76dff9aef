/*
 * The explorer of a pluck report: one row's distribution under top-k, typical, top-p, min-p and
 * temperature, in the order and by the rules of the library's flat configuration. The first part
 * computes and needs no page, so that tests run it alone; the second shows.
 *
 * A row holds its largest logits as float32, descending, less the largest (d), and the rest as bins:
 * n values around a centre c with their power sums s_k = sum of (d - c)^k up to 4, from which
 * sum of exp(b d) = exp(b c) sum over k of b^k s_k / k! at every b = 1/T that leaves the rest any
 * weight. Only a cut that falls into the rest is not exact: it moves to the end of a bin.
 */
"use strict";

const explorer = (() => {
  /* The rounding of logits to floats: a mass that misses a bound by no more counts as the bound. */
  const LOGIT_ROUNDING = 2 ** -22;

  function decodeFloats(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const view = new DataView(bytes.buffer);
    const max = view.getFloat32(0, true);
    const d = new Float64Array(bytes.length / 4);
    for (let i = 0; i < d.length; i++) d[i] = view.getFloat32(4 * i, true) - max;
    return d;
  }

  function openRow(row) {
    if (!row.d) row.d = decodeFloats(row.logits);
    return row;
  }

  /* Of what is alive (some places, ascending, and so many bins): sums of e = exp(d / t) and e d. */
  function sumsOf(row, alive, t) {
    const b = 1 / t;
    let z = 0;
    let dot = 0;
    for (const place of alive.places) {
      const e = Math.exp(b * row.d[place]);
      z += e;
      dot += e * row.d[place];
    }
    for (const bin of row.rest.slice(0, alive.bins)) {
      const m = binSums(bin, b);
      z += m.z;
      dot += m.dot;
    }
    return { z, dot };
  }

  function binSums([c, n, s1, s2, s3, s4], b) {
    const scale = Math.exp(b * c);
    const z = n + b * (s1 + b * (s2 / 2 + b * (s3 / 6 + (b * s4) / 24)));
    const slope = s1 + b * (s2 + b * (s3 / 2 + (b * s4) / 6));
    return { z: scale * z, dot: scale * (c * z + slope) };
  }

  const countOf = (row, alive) =>
    row.rest.slice(0, alive.bins).reduce((n, bin) => n + bin[1], alive.places.length);

  /* Keeps bins until enough(measure) with measure(bin) added up. */
  function keepBins(row, alive, measure, sum, enough) {
    let bins = 0;
    while (bins < alive.bins && !enough(sum)) sum += measure(row.rest[bins++]);
    if (bins > 0 && bins < row.rest.length) alive.isApproximate = true;
    alive.bins = bins;
  }

  function topK(row, alive, k) {
    if (k < 1 || k >= countOf(row, alive)) return;
    alive.places = alive.places.subarray(0, k);
    keepBins(row, alive, (bin) => bin[1], alive.places.length, (sum) => sum >= k);
  }

  function topP(row, alive, p) {
    if (p >= 1) return;
    const want = p * sumsOf(row, alive, 1).z * (1 - LOGIT_ROUNDING);
    let sum = 0;
    let n = 0;
    while (n < alive.places.length && (sum < want || n === 0))
      sum += Math.exp(row.d[alive.places[n++]]);
    alive.places = alive.places.subarray(0, n);
    keepBins(row, alive, (bin) => binSums(bin, 1).z, sum, (mass) => mass >= want);
  }

  function minP(row, alive, p) {
    if (p <= 0) return;
    const threshold = row.d[alive.places[0]] + Math.log(p);
    let n = 1;
    while (n < alive.places.length && row.d[alive.places[n]] >= threshold) n++;
    const isInside = n < alive.places.length;
    alive.places = alive.places.subarray(0, n);
    keepBins(row, alive, (bin) => bin[0], 0,
      () => isInside || alive.bins === 0 || row.rest[0][0] < threshold);
  }

  /* The tokens whose d is nearest to its mean, nearer ones first, the better of two equally far,
   * and of equal ones the lower token, which has the lower place. */
  function typical(row, alive, p) {
    const { z, dot } = sumsOf(row, alive, 1);
    const want = p * z * (1 + LOGIT_ROUNDING);
    if (p >= 1 || want >= z) return;
    const mean = dot / z;
    const at = (i) => row.d[alive.places[i]];
    const n = alive.places.length;
    let below = 0;
    while (below < n && at(below) >= mean) below++;
    let above = below - 1; /* what is taken lies between, but for the last group of equal ones */
    let sum = 0;
    let kept = null;
    while (sum <= want && (above >= 0 || below < n)) {
      const takesAbove = above >= 0 && (below >= n || at(above) - mean <= mean - at(below));
      const value = at(takesAbove ? above : below);
      let size = 1;
      while (takesAbove && above - size >= 0 && at(above - size) === value) size++;
      let taken = 0;
      while (taken < size && sum <= want) {
        sum += Math.exp(value);
        taken++;
      }
      if (!takesAbove) {
        below += taken;
        continue;
      }
      above -= size;
      if (taken < size)
        kept = [...alive.places.subarray(above + 1, above + 1 + taken),
          ...alive.places.subarray(above + 1 + size, below)];
    }
    const reachesRest = below >= n;
    alive.places = kept ? Int32Array.from(kept) : alive.places.subarray(above + 1, below);
    keepBins(row, alive, (bin) => binSums(bin, 1).z, sum,
      (mass) => !reachesRest || mass > want);
  }

  function run(row, settings) {
    const alive = {
      places: Int32Array.from(row.d.keys()), bins: row.rest.length, isApproximate: false,
    };
    topK(row, alive, settings["top-k"]);
    typical(row, alive, settings.typical);
    topP(row, alive, settings["top-p"]);
    minP(row, alive, settings["min-p"]);
    const t = settings.temperature;
    const { z, dot } = sumsOf(row, alive, t);
    const entropy = Math.max(Math.log(z) - dot / z / t, 0);
    const isKept = new Uint8Array(row.d.length);
    for (const place of alive.places) isKept[place] = 1;
    return { alive, isKept, z, t, entropy, survivors: countOf(row, alive) };
  }

  /* Of a place, also among the rest, where only that of the token which followed has a known d. */
  function isAlive(row, result, place) {
    if (place < row.d.length) return result.isKept[place] === 1;
    let end = row.d.length;
    for (const bin of row.rest.slice(0, result.alive.bins)) end += bin[1];
    return place < end;
  }

  function probability(row, result, place) {
    if (!isAlive(row, result, place)) return 0;
    const d = place < row.d.length ? row.d[place] : row.target_d;
    return Math.exp(d / result.t) / result.z;
  }

  return { openRow, run, isAlive, probability };
})();

if (typeof module !== "undefined") module.exports = explorer;
else (() => {
  const { openRow, run, isAlive, probability } = explorer;
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const SHOWN = 24;
  let shown = SHOWN;

  const CONTROLS = [
    { id: "temperature", key: "temperature", neutral: 1 },
    { id: "top-k", key: "top_k", neutral: 0 },
    { id: "typical", key: "typical_p", neutral: 1 },
    { id: "top-p", key: "top_p", neutral: 1 },
    { id: "min-p", key: "min_p", neutral: 0 },
  ];

  function settingsNow() {
    const settings = {};
    for (const control of CONTROLS) settings[control.id] = Number(byId(control.id).value);
    return settings;
  }

  function configNow(settings) {
    const config = {};
    for (const { id, key, neutral } of CONTROLS.slice(1).concat(CONTROLS[0]))
      if (settings[id] !== neutral) config[key] = settings[id];
    return JSON.stringify(config, null, 2) + "\n";
  }

  const element = (name, attributes, text) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const nameOf = (token, text) => (text === null ? `token ${token}` : JSON.stringify(text));

  function tokenLine(row, result, plain, place, token, text, top) {
    const p = probability(row, result, place);
    const before = probability(row, plain, place);
    const isTarget = token === row.target;
    const line = element("tr", { "data-token": token });
    if (!isAlive(row, result, place)) line.className = "gone";
    if (isTarget) line.classList.add("target");
    const name = element("th", { scope: "row" }, nameOf(token, text));
    name.title = `token ${token}, rank ${place + 1}${isTarget ? ", which followed" : ""}`;
    if (isTarget) name.append(element("span", { class: "badge" }, "followed"));
    const bar = element("td", { class: "bar", "aria-hidden": "true" });
    const fill = (kind, value) => {
      const part = element("span", { class: kind });
      part.style.width = `${((100 * value) / top).toFixed(2)}%`;
      bar.append(part);
    };
    fill("now", p);
    fill("before", before);
    line.append(name, bar, element("td", {}, isAlive(row, result, place) ? p.toFixed(6) : "out"),
      element("td", { class: "raw" }, before.toFixed(6)));
    return line;
  }

  /* The best tokens; and, wherever it is, the one that followed. */
  function drawTokens(row, result, plain) {
    const body = byId("tokens");
    const top = Math.max(probability(row, result, result.alive.places[0]),
      probability(row, plain, 0));
    body.replaceChildren();
    const n = Math.min(shown, row.tokens.length);
    for (let i = 0; i < n; i++)
      body.append(tokenLine(row, result, plain, i, row.tokens[i][0], row.tokens[i][1], top));
    if (row.target !== null && row.target_place >= n && row.target_d !== null) {
      const between = element("tr", { class: "between" });
      const left = row.target_place - n;
      between.append(element("td", { colspan: 3 }, `${left.toLocaleString("en")} more`),
        element("td", { class: "raw" }));
      if (left > 0) body.append(between);
      body.append(tokenLine(row, result, plain, row.target_place, row.target, row.target_text, top));
    }
    byId("more").hidden = shown >= row.tokens.length;
  }

  function followed(row, result, about) {
    if (row.target === null) return "unknown";
    if (row.target_d === null) return "out: banned";
    return isAlive(row, result, row.target_place)
      ? about + probability(row, result, row.target_place).toFixed(6) : "out";
  }

  /* Probability against rank, both in logarithm: before, and now. */
  function drawCurve(row, result, plain) {
    const [width, height, left, right, top, bottom] = [360, 250, 44, 10, 30, 40];
    const n = row.d.length;
    const places = [];
    for (let rank = 1; rank <= n; rank = Math.max(rank + 1, Math.floor(rank * 1.03)))
      places.push(rank - 1);
    if (places[places.length - 1] !== n - 1) places.push(n - 1);
    const x = (place) =>
      left + ((width - left - right) * Math.log(place + 1)) / Math.log(Math.max(n, 2));
    const lowest = -8;
    const y = (p) => top + ((height - top - bottom) * Math.log10(p)) / lowest;
    const path = (of) => {
      let text = "";
      for (const place of places) {
        const p = of(place);
        if (p < 10 ** lowest) {
          if (text !== "") break;
          continue;
        }
        text += `${text === "" ? "M" : "L"}${x(place).toFixed(1)} ${y(p).toFixed(1)}`;
      }
      return text;
    };
    byId("curve-before").setAttribute("d", path((i) => probability(row, plain, i)));
    byId("curve-now").setAttribute("d", path((i) => probability(row, result, i)));
    const band = byId("curve-kept");
    const first = result.alive.places[0];
    const last = result.alive.places[result.alive.places.length - 1];
    band.setAttribute("x", x(first).toFixed(1));
    band.setAttribute("width", Math.max(x(last) - x(first), 1.5).toFixed(1));
    byId("curve-last").textContent = n.toLocaleString("en");
  }

  function draw() {
    const row = openRow(data.rows[Number(byId("row").value)]);
    const settings = settingsNow();
    const result = run(row, settings);
    const plain = run(row, { temperature: 1, "top-k": 0, typical: 1, "top-p": 1, "min-p": 0 });
    const about = result.alive.isApproximate ? "about " : "";
    byId("survivors").textContent = about + result.survivors.toLocaleString("en");
    byId("entropy").textContent = about + result.entropy.toFixed(6);
    byId("effective").textContent = about + Math.exp(result.entropy).toFixed(4);
    byId("followed").textContent = followed(row, result, about);
    byId("followed-name").textContent = row.target === null ? "unknown"
      : row.target_d === null ? nameOf(row.target, row.target_text)
        : `${nameOf(row.target, row.target_text)}, rank ` +
          (row.target_place + 1).toLocaleString("en");
    byId("exactness").textContent = result.alive.isApproximate
      ? "This cut falls among the least probable tokens, which the page keeps as " +
        `${row.rest.length} groups: numbers marked “about” are rounded to the end of a group.`
      : row.rest.length > 0
        ? `Exact: the ${row.d.length.toLocaleString("en")} largest logits of this row are in the ` +
          "page, the others as sums that any temperature can be computed from."
        : "Exact: every logit of this row is in the page.";
    byId("config").textContent = configNow(settings);
    drawTokens(row, result, plain);
    drawCurve(row, result, plain);
  }

  function link(id) {
    const number = byId(id);
    const range = byId(`${id}-range`);
    const clamp = (value) =>
      Math.min(Math.max(value, Number(number.min)), Number(number.max));
    range.addEventListener("input", () => {
      number.value = range.value;
      draw();
    });
    number.addEventListener("input", () => {
      if (number.value === "" || !Number.isFinite(Number(number.value))) return;
      range.value = number.value;
      if (Number(number.value) === clamp(Number(number.value))) draw();
    });
    number.addEventListener("change", () => {
      const neutral = CONTROLS.find((control) => control.id === id).neutral;
      const typed = number.value === "" ? neutral : Number(number.value);
      number.value = id === "top-k" ? Math.round(clamp(typed)) : clamp(typed);
      range.value = number.value;
      draw();
    });
  }

  function set(values) {
    for (const control of CONTROLS) {
      const value = control.id in values ? values[control.id] : control.neutral;
      byId(control.id).value = value;
      byId(`${control.id}-range`).value = value;
    }
    draw();
  }

  function save() {
    const blob = new Blob([configNow(settingsNow())], { type: "application/json" });
    const anchor = element("a", { href: URL.createObjectURL(blob), download: "pluck.json" });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
  }

  function step(by) {
    const row = byId("row");
    row.selectedIndex = Math.min(Math.max(row.selectedIndex + by, 0), row.options.length - 1);
    draw();
  }

  for (const control of CONTROLS) link(control.id);
  byId("row").addEventListener("change", draw);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("save").addEventListener("click", save);
  byId("reset").addEventListener("click", () => set({}));
  byId("more").addEventListener("click", () => {
    shown = shown === SHOWN ? 100 : Infinity;
    draw();
  });
  for (const button of document.querySelectorAll("[data-fitted]"))
    button.addEventListener("click", () => set({ temperature: Number(button.dataset.fitted) }));
  draw();
})();
