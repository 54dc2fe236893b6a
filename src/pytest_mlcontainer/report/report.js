"use strict";
/* What the page can do beyond being read: filter, sort, move by keys, lay pictures over one another,
   and choose what to accept. Nothing here is needed to read the page. Text gets onto the page by
   textContent alone, so that nothing in it is markup. */
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const sections = all("section.comparison");
  const rows = all("table.overview tbody tr");
  const leaves = sections.map((section) => all(".leaf", section));
  const main = document.querySelector("main");
  const status = make("p", { className: "quiet", id: "shown" });
  status.setAttribute("role", "status");

  /* Filtering and sorting */

  const nameOf = (leaf) => {
    const names = [];
    for (let at = leaf; at && at.tagName !== "SECTION"; at = at.parentElement) {
      const label = at.querySelector(":scope > summary > code, :scope > code");
      if (label) names.unshift(label.textContent);
    }
    return names.join("").toLowerCase();
  };
  let names = null; // of leaves, made when they are asked for first
  const field = make("input", { type: "search", id: "find", autocomplete: "off" });
  const select = (id, options) => {
    const made = make("select", { id });
    made.append(...options.map(([value, said]) => make("option", { value, textContent: said })));
    return made;
  };
  const valuesOf = (key) => {
    const found = [...rows, ...sections].map((each) => each.dataset[key]);
    return [...new Set(found)].filter(Boolean).sort();
  };
  const options = (every, values) => [["", every], ...values.map((value) => [value, value])];
  const verdict = select("verdict", [
    ...options("every verdict", valuesOf("verdict")), ["fails", "all that do not agree"],
  ]);
  const platform = select("platform", options("every platform", valuesOf("platform")));
  const order = select("order", [
    ["number", "as they were made"], ["rank", "the worst first"], ["name", "by entrypoint"],
    ["platform", "by platform"],
  ]);

  const passes = (each) =>
    (!verdict.value || verdict.value === each.dataset.verdict ||
      (verdict.value === "fails" && Number(each.dataset.rank) > 1)) &&
    (!platform.value || platform.value === each.dataset.platform);

  const filterLeaves = (at, text) => {
    let found = 0;
    leaves[at].forEach((leaf, number) => {
      const is = !text || names[at][number].includes(text);
      leaf.hidden = !is;
      found += is ? 1 : 0;
    });
    for (const group of all(".tree details:not(.leaf)", sections[at])) {
      if (!group.querySelector(".leaf")) continue;
      group.hidden = !group.querySelector(".leaf:not([hidden])");
    }
    return found;
  };

  const filter = () => {
    const text = field.value.trim().toLowerCase();
    if (text && !names) names = leaves.map((each) => each.map(nameOf));
    const shown = new Set();
    sections.forEach((section, at) => {
      const titled = section.dataset.name.toLowerCase().includes(text);
      const found = names ? filterLeaves(at, titled ? "" : text) : 0;
      section.hidden = !(passes(section) && (titled || found > 0));
      if (!section.hidden) shown.add(section.dataset.number);
    });
    const drawn = new Set(sections.map((section) => section.dataset.number));
    let count = 0;
    for (const row of rows) {
      const is = drawn.has(row.dataset.number)
        ? shown.has(row.dataset.number)
        : passes(row) && row.dataset.name.toLowerCase().includes(text);
      row.hidden = !is;
      count += is ? 1 : 0;
    }
    status.textContent =
      text || verdict.value || platform.value ? `${count} of ${rows.length} comparisons` : "";
  };

  const sorted = (elements) => {
    const key = order.value;
    const numbers = (each) => Number(each.dataset.number);
    return elements.slice().sort((a, b) => {
      const [left, right] = [a.dataset[key], b.dataset[key]];
      const first = key === "number" ? 0
        : key === "rank" ? Number(right) - Number(left) : left.localeCompare(right);
      return first || numbers(a) - numbers(b);
    });
  };

  const sort = () => {
    if (rows.length) rows[0].parentElement.append(...sorted(rows));
    if (!sections.length) return;
    const mark = make("span");
    sections[0].parentElement.insertBefore(mark, all("section.comparison")[0]);
    sorted(sections).forEach((section) => main.insertBefore(section, mark));
    mark.remove();
  };

  /* Pictures over one another */

  const overlay = (box) => {
    const [mine, theirs] = ["actual", "expected"].map((side) => box.querySelector(`.${side} img`));
    if (!mine || !theirs || !box.querySelector(".difference")) return;
    const top = mine.cloneNode();
    top.className = "top";
    const stage = make("div", { className: "stage", hidden: true }, theirs.cloneNode(), top);
    const share = make("input", { type: "range", min: 0, max: 100, value: 50, hidden: true });
    share.setAttribute("aria-label", `${mine.alt} on the left, ${theirs.alt} on the right`);
    const caption = make("p", { className: "quiet" });
    const still = window.matchMedia("(prefers-reduced-motion: reduce)");
    let timer = 0;
    const clip = () => { top.style.clipPath = `inset(0 ${100 - share.value}% 0 0)`; };
    const flip = () => {
      top.hidden = !top.hidden;
      caption.textContent = top.hidden ? theirs.alt : mine.alt;
    };
    const show = (mode) => {
      const again = mode === "flicker" && buttons[2].getAttribute("aria-pressed") === "true";
      clearInterval(timer);
      timer = 0;
      buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.value === mode)));
      stage.hidden = mode === "beside";
      share.hidden = mode !== "slider";
      all(".actual, .expected", box).forEach((each) => { each.hidden = mode !== "beside"; });
      caption.textContent =
        mode === "slider" ? `${mine.alt} on the left, ${theirs.alt} on the right` : "";
      if (mode === "flicker") {
        top.style.clipPath = "none";
        if (!again) top.hidden = false;
        flip();
        if (!still.matches) timer = setInterval(flip, 600); // slower than three times a second
      } else {
        top.hidden = false;
        clip();
      }
    };
    share.addEventListener("input", clip);
    const buttons = [["beside", "side by side"], ["slider", "slider"], ["flicker", "flicker"]].map(
      ([value, textContent]) => make("button", { type: "button", value, textContent }),
    );
    buttons.forEach((each) => each.addEventListener("click", () => show(each.value)));
    box.before(make("div", { className: "modes" }, ...buttons));
    box.prepend(make("div", { className: "over" }, stage, share, caption));
    show("beside");
  };

  /* Choosing what to accept */

  const chosen = new Map(); // from a checkbox to what it stands for
  const told = make("textarea", { readOnly: true, rows: 5, id: "accepted", spellcheck: false });
  const count = make("p");
  count.setAttribute("role", "status");
  const copy = make("button", { type: "button", textContent: "copy" });
  const none = make("button", { type: "button", textContent: "choose none" });
  const tray = make(
    "aside", { id: "tray", hidden: true }, make("h2", { textContent: "Chosen to be accepted" }),
    count, make("label", { htmlFor: "accepted", textContent: "What to run, or to write into the configuration" }),
    told, make("div", { className: "modes" }, copy, none),
  );
  tray.setAttribute("aria-label", "Chosen to be accepted");

  /* The wider of two bounds of one kind; null where they are of two kinds. */
  const wider = (left, right) => {
    if (left === right) return left;
    const pattern = /^\{ (\w+) = ([-+.\deE]+) \}$/;
    const [mine, theirs] = [pattern.exec(left), pattern.exec(right)];
    if (!mine || !theirs || mine[1] !== theirs[1]) return null;
    const larger = Number(mine[2]) >= Number(theirs[2]);
    return larger === (mine[1] !== "agreement") ? left : right;
  };

  const rules = (boxes) => {
    const tables = new Map();
    const clashes = [];
    for (const box of boxes) {
      const { table, line } = chosen.get(box);
      const at = line.lastIndexOf(" = {");
      const [key, bound] = [line.slice(0, at), line.slice(at + 3)];
      const lines = tables.get(table) || new Map();
      tables.set(table, lines);
      const known = lines.get(key);
      const both = known === undefined ? bound : wider(known, bound);
      if (both === null) clashes.push(`# instead, or loosen by hand: ${key} = ${bound}`);
      else lines.set(key, both);
    }
    const said = [...tables].map(([table, lines]) =>
      [`[${table}]`, ...[...lines].map(([key, bound]) => `${key} = ${bound}`)].join("\n"));
    return [...said, ...clashes].join("\n");
  };

  const tell = () => {
    const updates = [];
    const left = [];
    for (const section of sections) {
      const [ticked, kept] = ["input.accept:not(.whole)", "input.whole"].map(
        (kind) => all(kind, section).filter((box) => chosen.has(box)));
      const update = section.querySelector("p.update code");
      /* A record is what one run wrote: it is kept as a whole or not at all. */
      const isWhole = kept.length || (ticked.length && ticked.length === Number(section.dataset.failing));
      if (update && isWhole) updates.push(update.textContent);
      else left.push(...ticked);
    }
    const parts = [];
    if (updates.length) parts.push(updates.join("\n"));
    if (left.length) parts.push(`# in pyproject.toml, before other rules of the table\n${rules(left)}`);
    told.value = parts.join("\n\n");
    const wholes = all("input.whole").filter((box) => chosen.has(box)).length;
    const single = chosen.size - wholes;
    const said = [[single, "difference"], [wholes, "whole run"]]
      .filter(([number]) => number)
      .map(([number, what]) => `${number} ${what}${number === 1 ? "" : "s"}`);
    count.textContent = said.join(", ");
    tray.hidden = !chosen.size;
  };

  const choose = (box) => {
    if (box.checked) chosen.set(box, { table: box.dataset.table, line: box.dataset.line });
    else chosen.delete(box);
    tell();
  };

  const offer = (section) => {
    const add = (place, line, said, kind = "") => {
      const box = make("input", { type: "checkbox", className: `accept ${kind}` });
      Object.assign(box.dataset, { line, table: section.dataset.table });
      box.addEventListener("change", () => choose(box));
      place.prepend(make("label", { className: "choice" }, box, said));
    };
    for (const place of all("p.rule", section)) {
      add(place, place.querySelector("code").textContent, " accept this difference: ");
    }
    for (const place of all("p.update", section)) add(place, "", " accept the whole run: ", "whole");
  };

  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(told.value);
    } catch {
      told.select();
      document.execCommand("copy");
    }
    copy.textContent = "copied";
    setTimeout(() => { copy.textContent = "copy"; }, 1500);
  });
  none.addEventListener("click", () => {
    for (const box of chosen.keys()) box.checked = false;
    chosen.clear();
    tell();
    field.focus();
  });

  /* Keys */

  const keys = make("input", { type: "checkbox", id: "keys", checked: true });
  const move = (by) => {
    const stops = all("section.comparison > details > summary, .leaf > summary").filter(
      (each) => each.offsetParent !== null && each.checkVisibility({ contentVisibilityAuto: true }));
    const here = document.activeElement;
    let at = stops.indexOf(here);
    if (at < 0) {
      const behind = (each) => here.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING;
      const next = here === document.body ? 0 : stops.findIndex(behind);
      at = by > 0 ? next - 1 : next < 0 ? stops.length : next;
    }
    const stop = stops[Math.min(stops.length - 1, Math.max(0, at + by))];
    if (stop) {
      stop.focus();
      stop.scrollIntoView({ block: "nearest" });
    }
  };
  const accept = () => {
    const leaf = document.activeElement.closest(".leaf");
    const box = leaf && leaf.querySelector("input.accept");
    if (box) box.click();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys.checked) return;
    const inField = event.target.closest("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape" && event.target === field) {
      field.value = "";
      filter();
      field.blur();
      return;
    }
    if (inField) return;
    const does = { "/": () => field.focus(), j: () => move(1), k: () => move(-1), x: accept };
    if (does[event.key]) {
      event.preventDefault();
      does[event.key]();
    }
  });

  /* All of it onto the page */

  const openNamed = () => {
    const named = document.getElementById(location.hash.slice(1));
    const folded = named && named.querySelector(":scope > details");
    if (folded) folded.open = true;
  };
  const labelled = (text, control) => make("label", {}, make("span", { textContent: text }), control);
  const key = (name) => make("kbd", { textContent: name });
  if (rows.length) {
    const tools = make(
      "search", { className: "tools" }, labelled("find", field), labelled("verdict", verdict),
      labelled("platform", platform), labelled("order", order), status,
      make("p", { className: "quiet keys" }, make("label", {}, keys, " keys: "), key("/"), " find, ",
        key("j"), " ", key("k"), " next and previous, ", key("Enter"), " open, ", key("x"),
        " accept, ", key("Esc"), " clear"),
    );
    main.prepend(tools);
    field.addEventListener("input", filter);
    verdict.addEventListener("change", filter);
    platform.addEventListener("change", filter);
    order.addEventListener("change", sort);
  }
  sections.forEach(offer);
  main.append(tray);
  all(".pictures").forEach(overlay);
  window.addEventListener("hashchange", openNamed);
  openNamed();
  document.documentElement.classList.add("scripted");
})();
