// The jump box and the list of keys; atlas.js runs this once, when either is opened. jump.js has been run before the jump box.
// Addresses follow from the names in jump.js: there is no index of pages, and nothing is fetched.
(function () {
  var atlas = window.atlas, MOST = 12;

  function make(tag, text, given) {
    var one = Object.assign(document.createElement(tag), given || {});
    if (text) one.textContent = text;
    return one;
  }
  function dialog(name) {
    var box = make("dialog", "", { className: "box" });
    box.setAttribute("aria-label", name);
    box.onclick = function (event) { if (event.target === box) box.close(); }; // the ground around it
    document.body.append(box);
    return box;
  }

  // Names: {name, also, model, layer} of every layer, each under all of its names; {name, kind, path} of everything else.

  var data, layers, others, here;

  function prepare() {
    data = window.__atlas;
    layers = [];
    others = data.others.map(function (one) { return { name: one[0], kind: "page", path: one[1] }; });
    data.families.forEach(function (one) { others.push({ name: one[0], kind: "family", path: one[1] }); });
    data.models.forEach(function (model) {
      var folder = (model[1] || model[0]) + "/";
      others.push({ name: model[0], kind: "model", path: folder + "index.html" });
      model[2].forEach(function (given) { addLayer(model[0], folder, given); });
    });
    var path = location.href.slice(atlas.home.length).split(/[?#]/)[0];
    function inside(folder) { return path.indexOf(folder) === 0; }
    here = layers.filter(function (one) { return inside(one.path) || inside(one.path.slice(0, -1) + "~"); })[0];
    if (!here) here = data.models.filter(function (one) { return inside((one[1] || one[0]) + "/"); })
      .map(function (one) { return { model: one[0] }; })[0];
  }

  function addLayer(model, folder, given) {
    function full(name) { return name[0] === "." ? given[0] + name : name; }
    var layer = {
      name: given[0], model: model, path: folder + (given[1] || given[0]) + "/", count: given[2], pages: given[3], first: 0,
      labels: given[6] ? data.labels[given[6] - 1] : []
    };
    function second(name, first, count) {
      layers.push(Object.assign({}, layer, { name: full(name), also: layer, first: first, count: count }));
    }
    layers.push(layer);
    (given[4] || []).forEach(function (alias) { second(alias, 0, layer.count); });
    (given[5] || []).forEach(function (branch) { second(branch[0], branch[1], branch[2] - branch[1]); });
    layer.labels.forEach(function (label, unit) { others.push({ name: label, layer: layer, unit: unit }); });
  }

  // Addresses.

  function hasPage(layer, unit) {
    var runs = layer.pages;
    if (!runs) return true;
    for (var at = 0; at < runs.length; at += 2) if (unit >= runs[at] && unit <= runs[at + 1]) return true;
    return false;
  }
  function neuron(layer, own) {
    var main = layer.also || layer, unit = layer.first + own, page = hasPage(main, unit);
    var block = main.path; // its layer's folder, or in a large layer one for each thousand
    if (main.count > data.flat && !data.joined) block = block.slice(0, -1) + "~" + Math.floor(unit / data.block) * data.block + "/";
    return {
      name: layer.name + ":" + own,
      said: [layer.also ? main.name + ":" + unit : "", main.labels[unit], page ? "" : "in the grid: it has no page"],
      path: page ? block + (data.joined ? "neurons.html#n" + unit : unit + ".html") : main.path + "index.html#u" + unit,
      model: layer.model
    };
  }
  function whole(layer) {
    var main = layer.also || layer, part = layer.count < main.count;
    return {
      name: layer.name,
      said: [layer.also ? (part ? "part of " : "the same as ") + main.name : "", counted(layer.count, "neuron")],
      path: layer.path + "index.html" + (part ? "#u" + layer.first : ""),
      model: layer.model
    };
  }
  function counted(count, noun) { return count.toLocaleString("en") + " " + noun + (count === 1 ? "" : "s"); }
  function option(other) {
    if (!other.layer) return { name: other.name, said: [other.kind === "page" ? "" : other.kind], path: other.path };
    var one = neuron(other.layer, other.unit);
    return { name: other.name, said: [one.name], path: one.path, model: one.model };
  }

  // What is meant.

  function fit(name, asked) { // 0: the name itself, 1: its beginning, 2: the beginning of a word in it, 3: within it, 9: no
    var at = name.toLowerCase().indexOf(asked);
    if (at < 0 || !asked) return 9;
    if (at === 0) return name.length === asked.length ? 0 : 1;
    return /[\s._\-/,(]/.test(name[at - 1]) ? 2 : 3;
  }
  function fitting(list, asked, model) {
    return list.map(function (one, at) {
      var score = model && one.model !== model ? 9 : fit(one.name, asked);
      var away = (here && one.model && one.model !== here.model ? 0.5 : 0) + (one.also ? 0.25 : 0);
      return { one: one, fit: score, order: score + away, depth: one.layer ? 0 : one.name.split(".").length, at: at };
    }).filter(function (found) { return found.fit < 9; })
      .sort(function (a, b) { return a.order - b.order || a.depth - b.depth || a.at - b.at; });
  }
  function only(found) { return found.map(function (each) { return each.one; }); }

  function far(a, b) { // edits from one word to the other
    var row = [], next, i, j;
    for (j = 0; j <= b.length; j++) row[j] = j;
    for (i = 1; i <= a.length; i++, row = next) {
      for (next = [i], j = 1; j <= b.length; j++) {
        next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]));
      }
    }
    return row[b.length];
  }
  function nearest(list, asked) {
    return list
      .map(function (one, at) { return { one: one, by: far(asked, one.name.toLowerCase()), at: at }; })
      .filter(function (each) { return each.by <= Math.max(2, asked.length / 2); })
      .sort(function (a, b) { return a.by - b.by || a.at - b.at; })
      .slice(0, 3).map(function (each) { return each.one; });
  }

  // {options, error}: where the words may lead, best first; or what is wrong with them, and what is near.
  function meant(words) {
    var asked = words.trim().toLowerCase().replace(/[\s:_/.#]+$/, ""), found = { options: [] };
    if (!asked) return found;
    data.models.forEach(function (one) { // model/layer:unit, model.layer_unit
      var rest = asked.slice(one[0].length).replace(/^[\s:/.]+/, "");
      var named = asked.indexOf(one[0].toLowerCase()) === 0 && rest && rest.length < asked.length - one[0].length;
      if (named && !found.options.length) found = within(rest, one[0]);
    });
    if (found.options.length && !found.error) return found;
    var anywhere = within(asked, "");
    return anywhere.error && found.error ? found : anywhere;
  }
  function within(asked, model) {
    var number = /^(?:(.+?)[\s:_/.#]+|[:#]?)(\d+)$/.exec(asked), unit = number && +number[2], named = [];
    if (number) named = number[1] ? fitting(layers, number[1], model) : here && here.path ? [{ one: here, fit: 0 }] : [];
    var found = fitting(layers, asked, model), itself = found.length && found[0].fit === 0;
    var have = neurons(only(named), unit), options = only(found).map(whole), first = named[0];
    options = itself ? options.concat(have) : have.concat(options);
    if (!model) options = options.concat(only(fitting(others, asked)).map(option));
    if (first && !itself && unit >= first.one.count && (first.fit === 0 || !options.length)) return outside(first.one, unit);
    return options.length ? { options: options } : unknown(asked, number, model);
  }
  function neurons(those, unit) {
    return those.filter(function (layer) { return unit < layer.count; }).map(function (layer) { return neuron(layer, unit); });
  }
  function outside(layer, unit) {
    return {
      error: layer.name + " has neurons 0 to " + (layer.count - 1) + ", no " + unit + "; nearest:",
      options: [neuron(layer, layer.count - 1), whole(layer)]
    };
  }
  function unknown(asked, number, model) {
    var every = layers.filter(function (one) { return !model || one.model === model; });
    var near = nearest(model ? every : every.concat(others), asked)
      .map(function (one) { return one.count ? whole(one) : option(one); });
    if (number && number[1]) near = neurons(nearest(every, number[1]), +number[2]).concat(near);
    return { error: "Nothing here is called " + asked + (near.length ? "; nearest:" : "."), options: near.slice(0, 3) };
  }

  // The box: a combobox and its list.

  var box, input, list, told, shown = [], active = -1;

  function build() {
    var form = make("form", "", { method: "dialog" });
    box = dialog("Jump to a neuron, a layer, a family or a class");
    input = make("input", "", { type: "text", id: "jump", autocomplete: "off", spellcheck: false });
    input.setAttribute("autocapitalize", "none");
    list = make("ul", "", { id: "jump-to", hidden: true });
    told = make("p", "", { className: "quiet" });
    told.setAttribute("role", "status");
    attributes(input, { role: "combobox", "aria-autocomplete": "list", "aria-controls": "jump-to", "aria-expanded": "false" });
    attributes(list, { role: "listbox", "aria-label": "Places" });
    form.append(make("label", "Jump to", { htmlFor: "jump" }), input, told, list);
    form.append(make("button", "keys", { type: "button", onclick: help }));
    form.onsubmit = function (event) { event.preventDefault(); };
    box.append(form);
    input.oninput = suggest;
    input.onkeydown = steer;
    list.onmousedown = function (event) { event.preventDefault(); }; // the words keep the focus
    list.onclick = function (event) {
      var at = shown.findIndex(function (one) { return one.element.contains(event.target); });
      if (at >= 0) go(shown[at]);
    };
  }
  function attributes(element, given) {
    Object.keys(given).forEach(function (name) { element.setAttribute(name, given[name]); });
  }

  function suggest() {
    var found = meant(input.value), every = unique(found.options), many = every.length > MOST;
    list.textContent = "";
    shown = every.slice(0, MOST);
    shown.forEach(function (one, at) {
      var said = one.said.concat(data.models.length > 1 && one.model).filter(Boolean).join(" · ");
      one.element = make("li", one.name, { id: "jump-" + at });
      one.element.setAttribute("role", "option");
      if (said) one.element.append(" ", make("span", said));
      list.append(one.element);
    });
    list.hidden = !shown.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    told.textContent = found.error || (input.value.trim() ? counts(every.length) : hint());
    told.classList.toggle("note", !!found.error);
    mark(found.error ? -1 : 0);
  }
  function counts(many) { return many > MOST ? "The first " + MOST + " of " + many + "." : counted(many, "place") + "."; }
  function unique(options) {
    var seen = {};
    return options.filter(function (one) {
      return !seen[one.path] && (seen[one.path] = true);
    });
  }
  function hint() {
    var layer = (here && here.path ? [here] : layers.slice(-1))[0];
    var families = data.families.length ? ", a family" : "", classes = data.labels.length ? ", a class" : "";
    if (!layer) return "";
    return "A layer or its beginning, a neuron as " + layer.name + " " + (layer.count - 1) + families + classes + ".";
  }
  function mark(at) {
    active = shown.length ? at : -1;
    shown.forEach(function (one, place) { one.element.setAttribute("aria-selected", String(place === active)); });
    if (active < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", "jump-" + active);
    shown[active].element.scrollIntoView({ block: "nearest" });
  }
  function steer(event) {
    var step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (step && shown.length) {
      event.preventDefault();
      mark((active + step + (active < 0 && step < 0 ? 1 : 0) + shown.length) % shown.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (active >= 0) go(shown[active]);
    }
  }
  function go(one) {
    box.close();
    location.href = atlas.home + one.path;
  }
  function open() {
    if (!data) { prepare(); build(); }
    input.value = "";
    suggest();
    box.showModal();
  }

  // The keys.

  var keys, KEYS = [
    ["← or k", "the one before"], ["→ or j", "the next"], ["u", "up: the grid, the layer, the model"],
    ["/", "jump to a name"], ["?", "these keys"], ["Esc", "close"]
  ];

  function help() {
    if (box && box.open) box.close();
    keys = keys || keysBox();
    keys.showModal();
  }
  function keysBox() {
    var made = dialog("Keys"), form = make("form", "", { method: "dialog" });
    var terms = make("dl"), label = make("label"), tick = make("input", "", { type: "checkbox" });
    KEYS.forEach(function (row) {
      var line = make("div"), term = make("dt");
      row[0].split(" or ").forEach(function (key, at) { term.append(at ? " " : "", make("kbd", key)); });
      line.append(term, make("dd", row[1]));
      terms.append(line);
    });
    tick.checked = atlas.keys();
    tick.onchange = function () { atlas.keys(tick.checked); };
    label.append(tick, " letters and signs act as keys");
    form.append(make("h2", "Keys"), terms, label, make("button", "close", { autofocus: true }));
    made.append(form);
    return made;
  }

  atlas.box = { open: open, help: help, meant: function (words) { if (!data) prepare(); return meant(words); } };
})();
