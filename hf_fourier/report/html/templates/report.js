"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const articles = [...document.querySelectorAll("article.example")];
  const make = (tag, text) => { const node = document.createElement(tag); if (text !== undefined) node.textContent = text; return node; };
  const short = value => (value === 0 ? "0" : value.toPrecision(3));

  // One example at a time; without scripts all of them are there.
  const chooser = document.querySelector(".chooser");
  const choose = at => {
    articles.forEach((article, i) => { article.hidden = i !== at; });
    document.querySelectorAll("article[hidden] audio").forEach(player => player.pause());
    if (!chooser) return;
    chooser.querySelector("select").selectedIndex = at;
    chooser.querySelector('[data-step="-1"]').disabled = at === 0;
    chooser.querySelector('[data-step="1"]').disabled = at === articles.length - 1;
  };
  if (chooser) {
    chooser.hidden = false;
    const select = chooser.querySelector("select");
    select.addEventListener("change", () => choose(select.selectedIndex));
    chooser.querySelectorAll("button").forEach(button => button.addEventListener("click", () => choose(select.selectedIndex + Number(button.dataset.step))));
    choose(Math.max(0, articles.findIndex(article => `#${article.id}` === location.hash)));
  }

  // The prediction on a part.
  const say = (figure, part) => {
    const line = figure.querySelector(".says");
    line.textContent = "";
    if (!part) line.textContent = figure.closest("article").dataset.unasked;
    else {
      const number = make("span", part.says), verdict = make("strong", part.verdict);
      number.className = "number";
      verdict.className = part.holds ? "holds" : "lost";
      line.append(number, " · ", verdict);
    }
    figure.querySelector(".meter span").style.width = `${100 * ((part && part.level) || 0)}%`;
  };

  // Players: the whole clip, and what is kept and removed at the stops that have sound.
  const player = (place, url, name, title) => {
    place.textContent = "";
    const audio = make("audio"), link = make("a", "Save as WAV");
    audio.controls = true; audio.preload = "none"; audio.src = url; audio.setAttribute("aria-label", title);
    link.href = url; link.download = name;
    link.setAttribute("aria-label", `${title}: save as WAV`);
    place.append(audio, link);
  };
  const sound = (article, one, stop) => {
    const found = one.sounds.stops.find(each => Math.abs(each.share - stop.share) < 1e-9);
    const kept = article.querySelector(".kept .sound"), removed = article.querySelector(".removed .sound");
    const percent = stop.percent.replace(" %", "-percent");
    if (stop.share === 1) { player(kept, one.sounds.clean, "clip.wav", "The whole clip"); removed.textContent = ""; }
    else if (found) {
      player(kept, found.kept, `kept-${percent}.wav`, `The top ${stop.percent} alone`);
      player(removed, found.removed, `removed-${percent}.wav`, `All but the top ${stop.percent}`);
    } else {
      const known = one.sounds.stops.map(each => `${Number((100 * each.share).toPrecision(3))} %`).join(", ");
      [kept, removed].forEach(place => { place.textContent = `No sound is stored at this stop, only at ${known}.`; });
    }
  };

  // Tokens: colour, a line below that differs without colour, and what is pointed at in words.
  const tokens = (article, one, at) => {
    const values = one.values[at], top = Math.max(...values.map(Math.abs)) || 1;
    article.querySelectorAll(".token").forEach((token, i) => {
      token.style.setProperty("--w", (Math.abs(values[i]) / top).toFixed(3));
      token.classList.toggle("for", values[i] > 0);
      token.classList.toggle("against", values[i] < 0);
      token.setAttribute("aria-label", `${one.texts[i]}: ${sense(one, values[i])}`);
    });
  };
  const sense = (one, value) => (one.signed ? `${short(Math.abs(value))} ${value > 0 ? "for" : value < 0 ? "against" : ""}`.trim() : `${one.word} ${short(value)}`);
  const pointing = (article, one) => {
    const box = article.querySelector(".tokens"), status = article.querySelector(".pointed"), all = [...box.querySelectorAll(".token")];
    const point = i => {
      const value = one.values[article.stop][i], order = one.values[article.stop].map(Math.abs).filter(other => other > Math.abs(value)).length + 1;
      status.textContent = "";
      status.append(`${one.unit} ${i + 1} of ${all.length}, `, quoted(one.texts[i]), `: ${sense(one, value)}, number ${order} in size`);
    };
    const focus = i => {
      all.forEach((token, j) => { token.tabIndex = j === i ? 0 : -1; token.setAttribute("aria-selected", String(j === i)); });
      all[i].focus();
    };
    box.addEventListener("pointerover", event => { const token = event.target.closest(".token"); if (token) point(Number(token.dataset.i)); });
    box.addEventListener("focusin", event => { const token = event.target.closest(".token"); if (token) point(Number(token.dataset.i)); });
    box.addEventListener("click", event => { const token = event.target.closest(".token"); if (token) focus(Number(token.dataset.i)); });
    box.addEventListener("keydown", event => {
      const i = all.indexOf(document.activeElement), moves = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: all.length - 1 };
      if (i < 0 || !(event.key in moves)) return;
      event.preventDefault();
      focus(Math.min(all.length - 1, Math.max(0, moves[event.key])));
    });
  };
  const quoted = text => { const node = make("bdi", `“${text}”`); return node; };

  // Genes: the strongest at this stop.
  const MOST = 30;
  const genes = (article, one, at) => {
    const values = one.values[at], order = values.map((_, i) => i).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, MOST);
    const top = Math.abs(values[order[0]]) || 1, body = article.querySelector(".genes tbody"), status = article.querySelector(".pointed");
    body.textContent = "";
    order.forEach((i, rank) => {
      const row = make("tr"), bar = make("span"), last = make("td");
      [rank + 1, one.names[i], one.ids[i], one.places[i], short(values[i])].forEach((text, column) => {
        const cell = make("td"); cell.append(make("bdi", String(text)));
        if (column === 0 || column > 2) cell.className = "number";
        row.append(cell);
      });
      bar.className = `bar ${values[i] >= 0 ? "for" : "against"}`;
      bar.style.width = `${100 * Math.abs(values[i]) / top}%`;
      last.append(bar); row.append(last); row.tabIndex = -1;
      const point = () => {
        body.querySelectorAll(".pointed-at").forEach(other => other.classList.remove("pointed-at"));
        row.classList.add("pointed-at");
        status.textContent = "";
        status.append(quoted(one.names[i]), `: ${sense(one, values[i])}, number ${rank + 1} in size, place ${one.places[i]} of ${one.count} in the cell`);
      };
      row.addEventListener("pointerover", point);
      row.addEventListener("focus", point);
      body.append(row);
    });
    if (body.firstChild) body.firstChild.tabIndex = 0;
    body.onkeydown = event => {
      const rows = [...body.rows], i = rows.indexOf(document.activeElement), to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: rows.length - 1 }[event.key];
      if (i < 0 || to === undefined || !rows[to]) return;
      event.preventDefault();
      rows.forEach(row => { row.tabIndex = -1; });
      rows[to].tabIndex = 0; rows[to].focus();
    };
    const first = article.querySelector(".genes th");
    article.querySelectorAll(".genes th[aria-sort]").forEach(head => head.setAttribute("aria-sort", head === first ? "ascending" : "none"));
  };

  // A series, whole and rebuilt.
  const line = (article, one, at) => {
    const group = article.querySelector(".line-chart g"), whole = one.kept[one.kept.length - 1], all = [...whole, ...one.kept[at]];
    const low = Math.min(...all), span = (Math.max(...all) - low) || 1;
    const path = (values, kind) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const wide = Math.max(1, values.length - 1);
      node.setAttribute("d", values.map((y, i) => `${i ? "L" : "M"}${(10 + 700 * i / wide).toFixed(1)} ${(190 - 180 * (y - low) / span).toFixed(1)}`).join(""));
      node.setAttribute("class", kind);
      return node;
    };
    group.replaceChildren(path(whole, "whole"), path(one.kept[at], "now"));
  };

  const apply = (article, at) => {
    const one = data[Number(article.dataset.index)], stop = one.stops[at];
    article.stop = at;
    article.querySelectorAll(".percent").forEach(node => { node.textContent = stop.percent; });
    const slider = article.querySelector("input[type=range]");
    if (slider) slider.setAttribute("aria-valuetext", stop.percent);
    const kept = article.querySelector(".part.kept"), removed = article.querySelector(".part.removed");
    say(kept, stop.kept); say(removed, stop.removed);
    removed.toggleAttribute("data-none", stop.share === 1);
    if (one.kind === "pictures") {
      kept.querySelector("img").src = one.kept[at];
      const gone = removed.querySelector("img");
      if (gone && one.removed[at]) gone.src = one.removed[at];
      article.querySelectorAll(".part.kept img, .part.removed img").forEach(image => { image.alt = image.alt.replace(/\d[\d.e-]* %/, stop.percent); });
    }
    if (one.plane) article.querySelector(".plane img").src = one.plane.pictures[at];
    if (one.sounds) sound(article, one, stop);
    if (one.kind === "tokens") tokens(article, one, at);
    if (one.kind === "genes") genes(article, one, at);
    if (one.kind === "line") line(article, one, at);
    article.querySelector(".conclusion").textContent = stop.conclusion;
  };
  articles.forEach((article, i) => {
    const one = data[i], slider = article.querySelector("input[type=range]");
    if (one.kind === "tokens") pointing(article, one);
    if (one.sounds) {
      player(article.querySelector(".whole .sound"), one.sounds.clean, "clip.wav", "The whole clip");
      if (one.sounds.cut) article.querySelector(".whole .sound").append(` The first ${one.sounds.seconds.toFixed(1)} s.`);
    }
    apply(article, one.start);
    if (slider) slider.addEventListener("input", () => apply(article, Number(slider.value)));
  });

  // Tables: a title sorts by its column, again the other way round.
  const key = cell => { const text = cell.textContent.trim(), number = Number(text.replace(/^\+/, "").split(" ")[0]); return text !== "" && Number.isFinite(number) ? number : text; };
  const compare = (a, b) => {
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b));
  };
  document.querySelectorAll("table.sortable").forEach(table => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending", body = table.tBodies[0];
        heads.forEach(other => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map(row => [key(row.cells[column]), row]);
        rows.sort((a, b) => (down && a[0] !== "" && b[0] !== "" ? -compare(a[0], b[0]) : compare(a[0], b[0])));
        body.append(...rows.map(pair => pair[1]));
      });
    });
  });
})();
