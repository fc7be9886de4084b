// The report's page: embeds Bokeh's figures, switches the map, highlights varieties, shows a photo's neighbours.
(async () => {
  "use strict";
  const { items, places } = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const models = {};
  for (const [name, item] of Object.entries(items)) {
    const views = await Bokeh.embed.embed_item(item);
    models[name] = [...views.roots][0].model;
  }

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    for (const plot of Object.values(models)) {
      const axes = [...plot.below, ...plot.left].filter((item) => "axis_label_text_color" in item.properties);
      for (const axis of axes) {
        axis.axis_label_text_color = axis.major_label_text_color = color("--ink");
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = color("--soft");
      }
      for (const item of plot.center) {
        if ("grid_line_color" in item.properties) item.grid_line_color = color("--line");
        if ("label_text_color" in item.properties) item.label_text_color = color("--ink");
      }
    }
  }
  paint();
  dark.addEventListener("change", paint);

  const plot = models.map;
  const source = plot.document.get_model_by_name("photos");
  const chosen = plot.document.get_model_by_name("chosen");
  const { path: paths, label: labels, thumbnail: thumbnails } = source.data;
  const full = { alpha: source.data.alpha[0], size: source.data.size[0] };
  let number = -1; // of the chosen photo

  function mark() {
    const shown = number < 0 ? [] : [number];
    chosen.data = { x: shown.map((index) => source.data.x[index]), y: shown.map((index) => source.data.y[index]) };
  }

  function show(map) {
    const names = map === "pca" ? ["component 1", "component 2"] : ["t-SNE 1", "t-SNE 2"];
    const [x, y] = [0, 1].map((axis) => places[map].map((place) => place[axis]));
    source.data = { ...source.data, x, y };
    plot.below[0].axis_label = names[0];
    plot.left[0].axis_label = names[1];
    mark();
    plot.reset.emit();
  }

  function highlight(text) {
    const wanted = text.trim().toLowerCase();
    const found = labels.map((label) => label.toLowerCase().includes(wanted));
    const alpha = found.map((is_found) => (is_found ? full.alpha : 0.05));
    const size = found.map((is_found) => (wanted && is_found ? full.size * 1.5 : full.size));
    source.data = { ...source.data, alpha, size };
    const count = found.filter(Boolean).length;
    const varieties = new Set(labels.filter((_, index) => found[index])).size;
    const message = wanted ? `${count} photos of ${varieties} ${varieties === 1 ? "variety" : "varieties"} highlighted` : "";
    document.getElementById("found").textContent = message;
    for (const row of document.querySelectorAll("#varieties tbody tr")) {
      row.hidden = !row.dataset.variety.toLowerCase().includes(wanted);
    }
  }

  function entry(index, note) {
    const item = document.createElement("li");
    const picture = new Image();
    picture.src = thumbnails[index];
    picture.alt = "";
    const name = document.createElement("b");
    name.textContent = labels[index];
    const file = document.createElement("span");
    file.textContent = paths[index].split("/").pop();
    item.append(picture, name, document.createElement("br"), file);
    if (note) item.append(document.createElement("br"), note);
    item.dataset.path = paths[index];
    return item;
  }

  function choose(index) {
    number = index;
    const near = places.neighbours[index];
    const same = near.filter((other) => labels[other] === labels[index]).length;
    document.getElementById("chosen-name").textContent =
      `${paths[index]}: ${same} of its ${near.length} nearest neighbours are of the same variety.`;
    document.getElementById("neighbours").replaceChildren(
      entry(index, "chosen photo"),
      ...near.map((other, rank) => entry(other, `neighbour ${rank + 1}`)),
    );
    document.getElementById("photo").value = String(index);
    mark();
  }

  const select = document.getElementById("photo");
  const order = [...paths.keys()].sort((one, other) => (labels[one] + paths[one] < labels[other] + paths[other] ? -1 : 1));
  let group = null;
  for (const index of order) {
    if (!group || group.label !== (labels[index] || "no variety")) {
      group = document.createElement("optgroup");
      group.label = labels[index] || "no variety";
      select.append(group);
    }
    group.append(new Option(`${labels[index]} ${paths[index].split("/").pop()}`, String(index)));
  }
  select.addEventListener("change", () => choose(Number(select.value)));
  source.selected.properties.indices.change.connect(() => {
    if (source.selected.indices.length) choose(source.selected.indices[0]);
  });
  document.getElementById("search").addEventListener("input", (event) => highlight(event.target.value));
  for (const radio of document.querySelectorAll("[name=map]")) radio.addEventListener("change", () => show(radio.value));
  for (const picture of document.querySelectorAll("img[data-photo]")) picture.src = thumbnails[picture.dataset.photo];
  if (paths.length) choose(order[0]);
  document.documentElement.dataset.ready = "true";
})();
