"use strict";
(() => {
  const told = JSON.parse(document.getElementById("texts").textContent);
  const escape = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

  /* Tables: a heading sorts by the number that a cell begins with, else by its text; what is no figure stands last. */
  const leading = (text) => {
    const found = text.replace(/(\d),(?=\d{3})/g, "$1").match(/^[<>~=\s]*([-+\u2212]?\d*\.?\d+(?:e[-+]?\d+)?)/i);
    return found ? parseFloat(found[1].replace("\u2212", "-")) - (text.trim().startsWith("<") ? 1e-12 : 0) : null;
  };
  const sort = (table, index, down) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, text: row.cells[index].textContent.trim() }));
    const known = rows.filter((one) => !told.missing.includes(one.text));
    const numeric = known.filter((one) => leading(one.text) !== null).length * 2 > known.length;
    /* In a column of figures some may stand behind a word, as a median does. */
    const figure = (text) => leading(text) ?? leading(text.replace(/^[^\d]*[^\d.+-](?=[-+.\d])/, ""));
    rows.forEach((one) => { one.key = told.missing.includes(one.text) ? null : numeric ? figure(one.text) : one.text; });
    rows.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      const order = numeric ? a.key - b.key : a.key.localeCompare(b.key);
      return down ? -order : order;
    });
    rows.forEach((one) => body.append(one.row));
  };
  document.querySelectorAll("main table").forEach((table) => {
    if (table.tBodies[0].rows.length < 2) return;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = told.sort;
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, index, down);
      });
    });
  });

  /* On paper everything is unfolded. */
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));

  /* Curves: lines and bands from the numbers in the page. */
  const steps = (low, high, log) => {
    const found = [];
    if (log) {
      const many = Math.log10(high / low) > 2;
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
        (many ? [1] : [1, 2, 5]).forEach((part) => found.push(part * 10 ** power));
      }
    } else {
      const rough = (high - low) / 4;
      const unit = 10 ** Math.floor(Math.log10(rough));
      const step = unit * [1, 2, 5, 10].find((part) => part * unit >= rough);
      for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(value);
    }
    return found.filter((value) => value >= low && value <= high * (1 + 1e-9));
  };
  const tidy = (value) => (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)
    ? value.toExponential(0) : String(parseFloat(value.toPrecision(6))));

  const chart = (figure) => {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const [bar, plot, legend] = ["bar", "plot", "lines"].map((name) => figure.querySelector(`.${name}`));
    const shown = data.lines.map((line) => Boolean(line.best));
    let metric = 0;
    let at = null;
    const button = (parent, text, act) => {
      const made = document.createElement("button");
      made.type = "button";
      made.innerHTML = text;
      made.addEventListener("click", act);
      parent.append(made);
      return made;
    };
    const metrics = data.metrics.map((one, index) => button(bar, escape(one.name), () => { metric = index; draw(); }));
    const gap = document.createElement("span");
    gap.className = "gap";
    bar.append(gap);
    const choose = (keep) => () => { data.lines.forEach((line, index) => { shown[index] = keep(line); }); draw(); };
    if (data.lines.some((line) => !line.best)) {
      button(bar, escape(told.best), choose((line) => Boolean(line.best)));
      button(bar, escape(told.all), choose(() => true));
    }
    button(bar, escape(told.nothing), choose(() => false));
    const entries = data.lines.map((line, index) => {
      const swatch = `<svg viewBox="0 0 26 10" aria-hidden="true"><line x1="0" y1="5" x2="26" y2="5" stroke="${line.colour}"`
        + ` stroke-width="3" stroke-dasharray="${line.dash || ""}"/></svg>`;
      return button(legend, `${swatch}${escape(line.name)}<span class="value"></span>`, () => {
        shown[index] = !shown[index];
        draw();
      });
    });
    const svg = plot.querySelector("svg");
    let scale = null;

    const value = (line, part, index) => {
      const found = line.values[metric][part] && line.values[metric][part][index];
      return found === null || found === undefined ? null : found / 10 ** data.metrics[metric].digits;
    };
    const range = (active) => {
      const last = Math.max(...data.epochs.flat());
      const log = Boolean(data.metrics[metric].log);
      const early = log || last < 4 ? -1 : last / 2;
      let [low, high] = [Infinity, -Infinity];
      active.forEach((line) => data.epochs[line.axis].forEach((epoch, index) => {
        const middle = value(line, 0, index);
        if (middle === null || (log && middle <= 0)) return;
        const half = log ? 0 : value(line, 1, index) || 0;
        high = Math.max(high, middle + half);
        if (epoch >= early || line.values[metric][0].slice(index + 1).every((one) => one === null)) {
          low = Math.min(low, middle - half);
        }
      }));
      if (low > high) return null;
      const margin = low === high ? Math.abs(low) / 10 || 1 : (high - low) / 20;
      return log ? [low / 1.1, high * 1.1] : [low - margin, high + margin];
    };
    const draw = () => {
      const { name, log } = data.metrics[metric];
      metrics.forEach((one, index) => one.setAttribute("aria-pressed", String(index === metric)));
      const active = data.lines.filter((line, index) => shown[index]);
      entries.forEach((one, index) => one.setAttribute("aria-pressed", String(shown[index])));
      const width = Math.max(280, plot.clientWidth);
      const height = 320;
      const [left, right, top, bottom] = [52, 8, 22, 36];
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const limits = range(active);
      const parts = [`<text x="4" y="12" font-size="12" fill="#333">${escape(name)}</text>`];
      if (limits === null) {
        parts.push(`<text x="${left}" y="${height / 2}" font-size="13" fill="#555">${escape(told.empty)}</text>`);
        svg.innerHTML = parts.join("");
        scale = null;
        read();
        return;
      }
      const [low, high] = limits;
      const last = Math.max(1, ...active.flatMap((line) => data.epochs[line.axis]));
      const [wide, tall] = [width - left - right, height - top - bottom];
      const x = (epoch) => (epoch / last) * wide;
      const y = (one) => tall * (1 - (log ? Math.log(one / low) / Math.log(high / low) : (one - low) / (high - low)));
      steps(low, high, log).forEach((one) => {
        const place = (top + y(one)).toFixed(1);
        parts.push(`<line x1="${left}" x2="${width - right}" y1="${place}" y2="${place}" stroke="#e6e6e6"/>`
          + `<text x="${left - 5}" y="${place}" dy=".32em" text-anchor="end" font-size="11" fill="#333">${tidy(one)}</text>`);
      });
      steps(0, last, false).filter((one) => Number.isInteger(one)).forEach((one) => {
        parts.push(`<text x="${(left + x(one)).toFixed(1)}" y="${height - bottom + 16}" text-anchor="middle" font-size="11"`
          + ` fill="#333">${one}</text>`);
      });
      parts.push(`<text x="${left + wide / 2}" y="${height - 4}" text-anchor="middle" font-size="12" fill="#333">`
        + `${escape(told.epoch)}</text>`);
      /* A picture within the picture ends where the axes do. */
      parts.push(`<svg x="${left}" y="${top}" width="${wide}" height="${tall}">`);
      const ends = [];
      [...active].reverse().forEach((line) => {
        const points = [];
        const band = [[], []];
        data.epochs[line.axis].forEach((epoch, index) => {
          const middle = value(line, 0, index);
          if (middle === null || (log && middle <= 0)) return;
          const half = value(line, 1, index);
          points.push(`${x(epoch).toFixed(1)},${y(middle).toFixed(1)}`);
          if (half !== null) {
            band[0].push(`${x(epoch).toFixed(1)},${y(middle + half).toFixed(1)}`);
            band[1].unshift(`${x(epoch).toFixed(1)},${y(log ? Math.max(middle - half, low / 2) : middle - half).toFixed(1)}`);
          }
        });
        if (band[0].length) {
          parts.push(`<polygon points="${band[0].concat(band[1]).join(" ")}" fill="${line.colour}" opacity=".15"/>`);
        }
        ends.push(`<polyline points="${points.join(" ")}" fill="none" stroke="${line.colour}" stroke-width="`
          + `${line.best ? 2 : 1.3}" stroke-dasharray="${line.dash || ""}"/>`);
        const whole = line.values[metric][0];
        if (points.length && whole[whole.length - 1] === null) {
          const [cx, cy] = points[points.length - 1].split(",").map(Number);
          ends.push(`<path d="M${cx - 4} ${cy - 4}l8 8m0-8l-8 8" stroke="${line.colour}" stroke-width="2"/>`);
        }
      });
      parts.push(...ends, `<line class="now" y1="0" y2="${tall}" stroke="#333" stroke-dasharray="2 2" visibility="hidden"/>`,
        "</svg>", `<path d="M${left} ${top}V${top + tall}H${width - right}" fill="none" stroke="#333"/>`);
      svg.innerHTML = parts.join("");
      scale = { left, wide, last, x };
      read();
    };
    const nearest = (axis, epoch) => axis.reduce((a, b) => (Math.abs(b - epoch) < Math.abs(a - epoch) ? b : a));
    const read = () => {
      const epoch = at === null ? Math.max(...data.epochs.flat()) : at;
      const digits = data.metrics[metric].digits;
      figure.querySelector(".epoch").textContent = `${told.epoch} ${epoch}`;
      entries.forEach((entry, index) => {
        const line = data.lines[index];
        const place = data.epochs[line.axis].indexOf(nearest(data.epochs[line.axis], epoch));
        const [middle, half] = [value(line, 0, place), value(line, 1, place)];
        entry.querySelector(".value").textContent = !shown[index] ? "" : middle === null ? told.gap
          : middle.toFixed(digits) + (half === null ? "" : ` [${(middle - half).toFixed(digits)}, ${(middle + half).toFixed(digits)}]`);
      });
      const now = svg.querySelector(".now");
      if (!now || !scale) return;
      now.setAttribute("visibility", at === null ? "hidden" : "visible");
      now.setAttribute("x1", scale.x(epoch));
      now.setAttribute("x2", scale.x(epoch));
    };
    const epochs = [...new Set(data.epochs.flat())].sort((a, b) => a - b);
    const point = (event) => {
      if (!scale) return;
      const box = svg.getBoundingClientRect();
      at = nearest(epochs, ((event.clientX - box.left - scale.left) / scale.wide) * scale.last);
      read();
    };
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") { at = null; read(); } });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const place = epochs.indexOf(at === null ? epochs[epochs.length - 1] : at);
      at = epochs[Math.min(epochs.length - 1, Math.max(0, place + step))];
      read();
    });
    figure.hidden = false;
    draw();
    let before = plot.clientWidth;
    addEventListener("resize", () => { if (plot.clientWidth !== before) { before = plot.clientWidth; draw(); } });
  };
  document.querySelectorAll("figure.curves").forEach(chart);
})();
