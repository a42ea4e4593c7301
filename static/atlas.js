// What every page does beyond its links: light or dark, keys, the jump box, the panel "Use this". Pages are whole without it.
// The rest is fetched where it is wanted: jumpbox.js and jump.js by the jump box, take.js by the panel and in embedded pages.
(function () {
  var root = document.documentElement, home = new URL(".", document.currentScript.src).href;
  var dark = matchMedia("(prefers-color-scheme: dark)"), asked = {};
  root.classList.add("js"); // controls that need a script take their room from the first paint on

  function stored(name, value) {
    var found = null; // in a tab's own store first: from a disk Firefox shares it within a folder, localStorage not at all
    ["sessionStorage", "localStorage"].forEach(function (kind) {
      try {
        if (value === undefined) found = found || window[kind].getItem(name);
        else window[kind].setItem(name, value);
      } catch (refused) { found = found || null; } // a browser may forbid it: the choice then holds for this page
    });
    return found;
  }

  // Runs a script of the site once, then calls back.
  function need(name, then) {
    asked[name] = asked[name] || new Promise(function (loaded, failed) {
      var script = document.createElement("script");
      script.src = home + name;
      script.onload = loaded;
      script.onerror = failed;
      document.head.append(script);
    });
    asked[name].then(then);
  }

  // Light or dark: the choice holds for the next page. Without this script the system's choice holds.

  function theme() { return root.dataset.theme || (dark.matches ? "dark" : "light"); }
  function other() { return theme() === "dark" ? "light" : "dark"; }
  if (/^(light|dark)$/.test(stored("atlas-theme"))) root.dataset.theme = stored("atlas-theme");

  // Which face of neurons stands in rows and grids: the choice holds for all pages of this atlas.

  var FACE = "atlas-face " + home;
  if (stored(FACE)) root.dataset.face = stored(FACE);
  function faces() {
    var asked = document.querySelector("#switch");
    if (!asked) return;
    var all = Array.from(asked.querySelectorAll("input"));
    all.forEach(function (one, at) { // a browser may have kept what they were at
      one.checked = one.value === root.dataset.face || (!at && !all.some(function (other) { return other.value === root.dataset.face; }));
    });
    asked.onchange = function (event) {
      root.dataset.face = event.target.value;
      stored(FACE, event.target.value);
    };
  }

  var icon = document.createElement("link"); // as data: no request, and nothing that each of thousands of pages would repeat
  icon.rel = "icon";
  icon.href = "data:image/svg+xml," + encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 3 3">' +
    '<path fill="#f7f7f7" d="M0 0h3v3H0z"/><path fill="#ca0020" d="M2 0h1v1H2zM1 1h1v1H1zM0 2h1v1H0z"/>' +
    '<path fill="#92c5de" d="M0 1h1v1H0zM1 0h1v1H1z"/><path fill="#0571b0" d="M2 2h1v1H2z"/></svg>');
  document.head.append(icon);

  // The jump box and the list of keys.

  var atlas = window.atlas = {
    home: home,
    keys: function (on) { return on === undefined ? stored("atlas-keys") !== "off" : stored("atlas-keys", on ? "on" : "off"); },
    jump: function () { need("jump.js", function () { need("jumpbox.js", function () { atlas.box.open(); }); }); },
    help: function () { need("jumpbox.js", function () { atlas.box.help(); }); }
  };

  // The neuron that is read, on a page of many: the first in sight. Else the page.
  function current() {
    var many = Array.from(document.querySelectorAll(".neuron")), bar = innerHeight / 3;
    return many.filter(function (one) { return one.getBoundingClientRect().top <= bar; }).pop() || many[0] || document;
  }
  function follow(selector) {
    var link = current().querySelector(selector) || document.querySelector(selector);
    if (link) link.click();
    return link;
  }
  var ways = {
    previous: function () { return follow("a[rel=prev]"); },
    next: function () { return follow("a[rel=next]"); },
    up: function () { return follow(".ways a:not([rel])") || follow(".trail a:last-of-type"); }
  };
  var keys = {
    ArrowLeft: ways.previous, k: ways.previous, ArrowRight: ways.next, j: ways.next, u: ways.up,
    "/": function () { atlas.jump(); return true; }, "?": function () { atlas.help(); return true; }
  };
  function typed(at) { return at.matches("input, select, textarea, [contenteditable]") && at.offsetParent; } // in sight
  function scrolls(at) { return root.scrollWidth > root.clientWidth || at.closest("[tabindex]"); } // sideways, by arrows
  addEventListener("keydown", function (event) {
    var at = event.target, act = keys[event.key], arrow = /^Arrow/.test(event.key);
    if (!act || event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]") || typed(at)) return;
    if (arrow ? event.shiftKey || scrolls(at) : !atlas.keys()) return;
    if (act()) event.preventDefault();
  });

  function button(text, label, act) {
    var one = document.createElement("button");
    one.type = "button";
    one.textContent = text;
    if (label) one.setAttribute("aria-label", label);
    one.onclick = act;
    return one;
  }
  addEventListener("DOMContentLoaded", function () {
    // A neuron's tables ask for the pictures of their layers when they are nearly in sight: there may be many layers.
    var near = new IntersectionObserver(function (changes) {
      changes.forEach(function (one) { if (one.isIntersecting) one.target.classList.add("near"); });
    }, { rootMargin: "15%" });
    document.querySelectorAll("main .two .k, .faces > *, .many .factor").forEach(function (one) { near.observe(one); });
    faces();

    var bar = document.querySelector(".bar"), tools = document.createElement("div"), key = document.createElement("kbd");
    if (!bar) return;
    function named() { return "Change to the " + other() + " theme"; }
    var jump = button("jump ", "", atlas.jump), look = button(other(), named(), function () {
      root.dataset.theme = other();
      stored("atlas-theme", root.dataset.theme);
      look.textContent = other();
      look.setAttribute("aria-label", named());
    });
    key.textContent = "/";
    jump.append(key);
    jump.setAttribute("aria-keyshortcuts", "/");
    tools.className = "tools";
    tools.append(jump, look);
    bar.append(tools);
  });

  // The panel "Use this" when it is opened, and pages shown in a frame of another.

  function take() { need("take.js", function () {}); }
  function embed() {
    if (location.hash.slice(0, 6) !== "#embed") return;
    root.classList.add("embed");
    take();
  }
  document.addEventListener("toggle", function (event) { if (event.target.matches("#use, .use") && event.target.open) take(); }, true);
  addEventListener("hashchange", embed);
  embed();
})();
