// Sorts and filters the grid of a layer. What is chosen stands in the page's address, so that a view can be linked:
// #sort=norm&reversed=1&family=curves&branch=mixed3a.b3&dead=no&explained=0.5-1
(function () {
  var form = document.getElementById("sift"), said = form.querySelector("output"), all = form.querySelector("button");
  var given = JSON.parse(document.getElementById("numbers").textContent), columns = given.columns;
  var grids = Array.from(document.querySelectorAll(".grid")), tiles = [], homes = [];
  var CHOICES = ["sort", "reversed", "family", "branch", "dead"], now = "", last = null;

  grids.forEach(function (grid, at) {
    Array.from(grid.children).forEach(function (tile) { homes[tiles.push(tile) - 1] = at; });
  });
  var sorted = document.createElement("section"), title = document.createElement("h2"), one = document.createElement("p");
  one.className = grids[0].className;
  sorted.id = "sorted";
  sorted.hidden = true;
  sorted.append(title, one);
  grids[0].parentNode.before(sorted);

  // A view is {sort, reversed, family, branch, dead, norm: [least, most], ...}, '' or absent for what is not chosen.

  function parsed(hash) {
    var words = new URLSearchParams(hash.slice(1)), view = {};
    CHOICES.forEach(function (name) { view[name] = words.get(name) || ""; });
    Object.keys(columns).forEach(function (name) {
      var ends = /^([\d.]*(?:e[+-]?\d+)?)-([\d.]*(?:e[+-]?\d+)?)$/i.exec(words.get(name) || "");
      view[name] = ends ? [ends[1], ends[2]] : ["", ""];
    });
    return view;
  }
  function hashed(view) {
    var words = new URLSearchParams();
    CHOICES.forEach(function (name) { if (view[name]) words.set(name, view[name]); });
    Object.keys(columns).forEach(function (name) { if (view[name].join("")) words.set(name, view[name].join("-")); });
    return String(words) && "#" + words;
  }

  // Between a view and the controls: shares are shown in per cent.

  function fields(name) { return Array.from(form.querySelector('input[type="number"][name="' + name + '"]').parentNode.querySelectorAll("input")); }
  function scale(name) { return fields(name)[0].dataset.unit === "%" ? 100 : 1; }
  function tidy(number) { return String(+number.toPrecision(6)); }
  function typed(name) {
    return fields(name).map(function (field) { return field.value && tidy(field.value / scale(name)); });
  }
  function asked() {
    var view = {};
    CHOICES.forEach(function (name) {
      var field = form.elements[name];
      view[name] = !field ? "" : field.type === "checkbox" ? (field.checked ? "1" : "") : field.value;
    });
    Object.keys(columns).forEach(function (name) { view[name] = typed(name); });
    return view;
  }
  function is(value) { return function (one) { return one.value === value; }; }
  function fill(view) {
    CHOICES.forEach(function (name) {
      var field = form.elements[name];
      if (field && field.type === "checkbox") field.checked = !!view[name];
      else if (field) field.value = Array.from(field.options).some(is(view[name])) ? view[name] : "";
    });
    Object.keys(columns).forEach(function (name) {
      fields(name).forEach(function (field, end) { field.value = view[name][end] && tidy(view[name][end] * scale(name)); });
    });
  }

  // The view itself.

  function chosen(view) {
    var kept = tiles.map(function () { return true; }), branch = given.branches[view.branch];
    function keep(test) { kept = kept.map(function (so, unit) { return so && test(unit); }); }
    function among(units) {
      var found = new Set(units);
      return function (unit) { return found.has(unit); };
    }
    if (given.families[view.family]) keep(among(given.families[view.family]));
    if (branch) keep(function (unit) { return unit >= branch[0] && unit < branch[1]; });
    var dead = among(given.dead);
    if (view.dead === "yes") keep(dead);
    if (view.dead === "no") keep(function (unit) { return !dead(unit); });
    Object.keys(columns).forEach(function (name) {
      var least = view[name][0] === "" ? -Infinity : +view[name][0], most = view[name][1] === "" ? Infinity : +view[name][1];
      if (least > -Infinity || most < Infinity) keep(function (unit) {
        var value = columns[name][unit];
        return value !== null && value >= least && value <= most;
      });
    });
    return kept.map(function (so, unit) { return so ? unit : -1; }).filter(function (unit) { return unit >= 0; });
  }
  function ordered(units, view) {
    var values = columns[view.sort], sign = view.reversed ? -1 : 1;
    if (view.sort === "similarity") units.sort(function (a, b) { return sign * (given.place[a] - given.place[b]); });
    else if (values) units.sort(function (a, b) { // largest first; what has no number comes last either way
      if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null) || a - b;
      return sign * (values[b] - values[a]) || a - b;
    });
    else if (view.reversed) units.reverse();
    return units;
  }
  function put(grid, those) {
    var batch = document.createDocumentFragment();
    those.forEach(function (unit) { batch.append(tiles[unit]); });
    grid.textContent = "";
    grid.append(batch);
  }
  function show(view) {
    var units = ordered(chosen(view), view), whole = !columns[view.sort] && view.sort !== "similarity" && !view.reversed;
    label(view.sort);
    put(one, whole ? [] : units);
    grids.forEach(function (grid, at) {
      var own = whole ? units.filter(function (unit) { return homes[unit] === at; }) : [];
      put(grid, own);
      grid.parentNode.hidden = !own.length;
    });
    sorted.hidden = whole || !units.length;
    title.textContent = "By " + form.elements.sort.selectedOptions[0].text + (view.reversed ? ", reversed" : "");
    tell(units.length);
  }
  function label(name) { // under each picture the number that it is sorted by
    var values = columns[name], share = values && scale(name) === 100, most = Math.max.apply(null, values || [1]);
    var places = most >= 0.001 ? Math.max(0, 2 - Math.floor(Math.log10(most))) : -1; // three digits of the largest
    one.classList.toggle("told", !!values);
    if (values) tiles.forEach(function (tile, unit) {
      var value = values[unit];
      if (value === null) tile.dataset.is = "–";
      else if (share) tile.dataset.is = (100 * value).toFixed(1) + "%";
      else tile.dataset.is = places < 0 ? value.toExponential(1) : value.toFixed(places);
    });
  }
  function tell(many) {
    var every = tiles.length.toLocaleString("en") + " neurons";
    said.textContent = many === tiles.length ? every : (many ? many.toLocaleString("en") : "none") + " of " + every;
    all.hidden = !now;
  }

  // Between the address and the view.

  function turn(view, before) {
    now = hashed(view);
    show(view);
    if (before !== undefined) history[before]("", "", location.href.split("#")[0] + now);
  }
  function follow() {
    var view = parsed(location.hash), there = document.getElementById(location.hash.slice(1));
    last = null;
    if (hashed(view) !== now) {
      fill(view);
      turn(view);
      if (there) there.scrollIntoView();
    }
  }
  form.oninput = function (event) { // what is typed in one field is one step back
    var view = asked();
    if (hashed(view) !== now) turn(view, event.target === last ? "replaceState" : "pushState");
    last = event.target;
  };
  all.onclick = function () {
    var view = parsed("");
    fill(view);
    turn(view, "pushState");
    form.elements.sort.focus(); // the button is gone
  };
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);
  fill(parsed("")); // a browser may have kept what the controls were at
  tell(tiles.length);
  follow();
})();
