"use strict";
// The map of look-alikes: points coloured by what is known of the galaxies; one that is pointed at shows its galaxy.
(() => {
  const data = JSON.parse(document.getElementById("look-alikes-data").textContent);
  const galaxies = data.galaxies, count = galaxies.objid.length;
  const map = document.getElementById("map"), shown = document.getElementById("shown");
  const legend = document.getElementById("legend");
  const width = 600, margin = 14;
  // One scale for both axes; a flat cloud gets a flat map.
  const [left, right, low, high] = [galaxies.x, galaxies.y].flatMap((it) => [Math.min(...it), Math.max(...it)]);
  const unit = (width - 2 * margin) / (Math.max(right - left, high - low) || 1);
  const height = Math.max((high - low) * unit + 2 * margin, 280);
  map.setAttribute("viewBox", `0 0 ${width} ${height}`);
  // y of a page points down
  const places = galaxies.x.map((x, i) => [
    width / 2 + (x - (left + right) / 2) * unit,
    height / 2 - (galaxies.y[i] - (low + high) / 2) * unit,
  ]);
  const scale = ["#440154", "#3b528b", "#21918c", "#5ec962", "#d8c91a"];
  const kinds = ["#b2182b", "#e08214", "#b59f00", "#4d9221", "#2166ac", "#762a83"];

  function element(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  const points = places.map(([x, y], i) => element("circle", {cx: x, cy: y, r: 3.2, "data-objid": galaxies.objid[i]}));
  const ring = element("circle", {r: 8, id: "ring"});
  map.append(...points, ring);

  function mixed(part) {
    const place = Math.min(Math.max(part, 0), 1) * (scale.length - 1);
    const index = Math.min(Math.floor(place), scale.length - 2);
    const [one, other] = [scale[index], scale[index + 1]].map((hex) =>
      [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16)));
    return `rgb(${one.map((value, i) => Math.round(value + (place - index) * (other[i] - value))).join(" ")})`;
  }

  function text(name, content, style) {
    const made = document.createElement(name);
    made.textContent = content;
    if (style) Object.assign(made.style, style);
    return made;
  }

  function colourBy(key) {
    const values = galaxies[key];
    legend.replaceChildren();
    if (key === "type") {
      points.forEach((point, i) => point.setAttribute("fill", kinds[values[i]]));
      data.types.forEach((name, i) => legend.append(text("span", "", {background: kinds[i]}), text("b", name)));
    } else {
      // few extremes would leave one colour to all others
      const sorted = [...values].sort((a, b) => a - b);
      const [first, last] = [0.02, 0.98].map((part) => sorted[Math.round(part * (count - 1))]);
      points.forEach((point, i) => point.setAttribute("fill", mixed((values[i] - first) / (last - first || 1))));
      const digits = key === "z" ? 3 : 1;
      const bar = text("i", "", {background: `linear-gradient(to right, ${scale.join(", ")})`});
      legend.append(text("b", first.toFixed(digits)), bar, text("b", last.toFixed(digits)));
    }
    for (const button of document.querySelectorAll("#colours button"))
      button.setAttribute("aria-pressed", String(button.dataset.by === key));
  }

  let current = 0;
  function show(i) {
    current = i;
    const [x, y] = places[i];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    const known = [["objid", galaxies.objid[i]]];
    if (galaxies.z) known.push(["redshift", galaxies.z[i].toFixed(4)]);
    if (galaxies.magnitude) known.push([`${data.band} magnitude`, galaxies.magnitude[i].toFixed(2)]);
    if (galaxies.type) known.push(["type", data.types[galaxies.type[i]]]);
    const stamp = shown.querySelector(".stamp");
    stamp.style.setProperty("--column", i % data.columns);
    stamp.style.setProperty("--row", Math.floor(i / data.columns));
    stamp.setAttribute("aria-label", `Stamp of galaxy ${galaxies.objid[i]}`);
    shown.dataset.objid = galaxies.objid[i];
    shown.querySelector("dl").replaceChildren(...known.flatMap(([name, value]) => [text("dt", name), text("dd", value)]));
  }

  function nearest(event, reach) {
    const there = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    let best = -1, least = (reach / map.getScreenCTM().a) ** 2;
    places.forEach(([px, py], i) => {
      const distance = (px - there.x) ** 2 + (py - there.y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    });
    return best;
  }

  const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  function step([dx, dy]) {
    let best = -1, least = Infinity;
    const [x, y] = places[current];
    places.forEach(([px, py], i) => {
      const along = (px - x) * dx + (py - y) * dy, aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      if (i !== current && along > 0 && along + 2 * aside < least) [best, least] = [i, along + 2 * aside];
    });
    return best;
  }

  map.addEventListener("pointermove", (event) => {
    const found = nearest(event, 12);
    if (found >= 0) show(found);
  });
  map.addEventListener("click", (event) => {
    const found = nearest(event, 40);
    if (found >= 0) show(found);
  });
  map.addEventListener("keydown", (event) => {
    if (!(event.key in ways)) return;
    event.preventDefault();
    const found = step(ways[event.key]);
    if (found >= 0) show(found);
  });
  for (const button of document.querySelectorAll("#colours button"))
    button.addEventListener("click", () => colourBy(button.dataset.by));

  const button = document.querySelector("#colours button");
  if (button) colourBy(button.dataset.by);
  show(data.first);
  document.getElementById("look-alikes-map").hidden = false;
})();
