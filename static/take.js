// Taking away: the panel "Use this" of a page, and the page as a figure in a frame of another (#embed). Works on file:// too.
(function () {
  "use strict";
  var doc = document, scope = doc, root = doc.documentElement, PIXELS = 640, FACE = 112, ROWS = 5;
  var FACES = { weights: "weights", pixels: "on the pixels", visualization: "visualization", examples: "examples", picture: "given picture" };

  function all(selector, within) { return [].slice.call((within || scope).querySelectorAll(selector)); }
  function pick(selector) { return scope.querySelector(selector); }
  function text(node) { return node ? node.textContent.replace(/\s+/g, " ").trim() : ""; }
  function escaped(words) {
    return String(words).replace(/[&<>"]/g, function (sign) { return { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[sign]; });
  }
  function make(name, properties, children) {
    var one = Object.assign(doc.createElement(name), properties);
    (children || []).forEach(function (child) { one.append(child); });
    return one;
  }

  // -- the page, and where it is published ---------------------------------------------------------------------------------

  function about() {
    var canonical = doc.querySelector('link[rel="canonical"]'), trail = all(".trail a", doc), part = scope === doc ? "" : scope.id;
    var head = pick(part ? "h2" : "h1").cloneNode(true);
    var label = head.querySelector("small"), script = doc.querySelector('script[src$="atlas.js"]');
    if (label) label.remove();
    var base = canonical ? canonical.href : location.href.split("#")[0].split("?")[0];
    if (part) base += "#" + part;
    var family = /\/families\/[^/]*$/.test(base);
    return {
      base: base, home: new URL(".", new URL(script.getAttribute("src"), base)).href, published: !!canonical,
      scope: scope, name: text(head), label: text(label), title: part ? text(head) + " · " + text(trail[1]) : doc.title, atlas: text(trail[0]), model: trail[1] && !family ? text(trail[1]) : "",
      authors: all("footer .author", doc).map(text), licence: text(doc.querySelector("footer .licence")),
      family: family, file: text(head).replace(/[^\w.-]+/g, "_").replace(/^_+|_+$/g, "") || "figure"
    };
  }
  function absolute(link, page) { return new URL(link.getAttribute("href"), page.base).href; }

  // -- the figure of a page: of a neuron its picture and first rows, of others what they name so ---------------------------

  function figure(page, rows) {
    var named = all("main .figure"), name = make("a", { href: page.base, textContent: page.name });
    var box = make("figure", { className: "taken" });
    var words = make("div", {}, [make("p", { className: "name" }, [name, page.label ? " " + page.label : ""])]);
    var from = [page.model, page.atlas].filter(Boolean).join(" · ");
    words.append(make("p", { className: "quiet", textContent: from }));
    var told = pick("main .lead, .opening > div:not(.faces) p"), three = pick(".faces > .three");
    if (!named.length && !pick(".opening")) named = all("main > section").concat(all("main .multiples").slice(0, 1));
    if (told) words.append(make("p", { textContent: text(told) }));
    if (three) words.append(make("p", { className: "quiet", textContent: text(three) }));
    var shown = all(".faces > figure").map(stand), face = shown.length ? null : pick(".opening img.px"), copy = face && face.cloneNode(true);
    if (shown.length) shown = [make("div", { className: "stands" }, shown)];
    box.append(make("div", { className: "top" }, (face ? [copy] : shown).concat(words)));
    if (face) decoded(face).then(function () { resize(copy, face); }, function () {});
    if (face && face.naturalWidth) resize(copy, face);
    named.forEach(function (one) { box.append(one.cloneNode(true)); });
    if (!named.length && rows) box.append(make("div", { className: "two" }, all(".two > section").filter(function (one) {
      return one.querySelector("table");
    }).map(function (one) { return first(one, rows); })));
    all("a[href]", box).forEach(function (link) {
      link.href = absolute(link, page);
      link.target = "_blank";
      link.rel = "noopener";
    });
    all("details, [href*='how-to-read']", box).forEach(function (one) {
      if (one.tagName === "A") one.replaceWith(text(one));
      else one.remove();
    });
    return box;
  }

  // One of a neuron's faces, small, and what it is.
  function stand(face) {
    return make("div", {}, [face.firstElementChild.cloneNode(true), make("p", { className: "quiet", textContent: FACES[face.className.split(" ")[0]] })]);
  }

  // A picture at about FACE pixels, a whole number of them for each of its own.
  function resize(copy, face) {
    var times = Math.max(1, Math.round(FACE / Math.max(face.naturalWidth, face.naturalHeight)));
    copy.style.width = face.naturalWidth * times + "px";
  }
  function decoded(image) { return image.complete && image.naturalWidth ? Promise.resolve() : image.decode(); }

  // The first rows of the first table of a neuron's connections in one direction.
  function first(section, rows) {
    var table = section.querySelector("table"), shown = make("section"), copy = table.cloneNode(true);
    copy.classList.add("near"); // its pictures are not waited with
    shown.append(make("h2", { textContent: text(section.querySelector("h2, h3")) + " " + layerOf(table) }));
    all("tbody tr", copy).slice(rows).forEach(function (row) { row.remove(); });
    ["--sheet", "--kh"].forEach(function (name) { copy.style.setProperty(name, getComputedStyle(table).getPropertyValue(name)); });
    shown.append(copy);
    return shown;
  }

  // The layer a table is about: it stands in the heading before it.
  function heading(table) {
    while (table && !/^H[34]$/.test(table.tagName)) table = table.previousElementSibling;
    return table;
  }
  function layerOf(table) {
    var head = heading(table);
    return head ? text(head.querySelector("a") || head) : "";
  }

  // -- the page in a frame -------------------------------------------------------------------------------------------------

  function options() {
    return new URLSearchParams(location.search.slice(1) + "&" + location.hash.slice(1));
  }

  function embed() {
    var asked = options(), part = asked.get("at") && doc.getElementById(asked.get("at"));
    if (part) scope = part;
    var rows = asked.has("rows") ? parseInt(asked.get("rows"), 10) || 0 : ROWS, page = about();
    var shown = figure(page, rows), main = doc.getElementById("main");
    if (/^(light|dark)$/.test(asked.get("theme"))) root.dataset.theme = asked.get("theme");
    main.replaceChildren(make("h1", { className: "hide", textContent: page.name }), shown);
    function fit() { // what is wider than the frame is drawn smaller
      all("table", shown).forEach(function (one) {
        one.style.zoom = 1;
        one.style.zoom = Math.min(1, one.parentNode.clientWidth / one.offsetWidth);
      });
    }
    function tell() {
      fit();
      var height = Math.ceil(shown.getBoundingClientRect().height) + 1, host = window.parent; // a border of the host's may take one
      if (host === window) return;
      host.postMessage({ type: "weight-atlas:height", address: location.href.split("#")[0], height: height }, "*");
      host.postMessage({ sentinel: "amp", type: "embed-size", height: height }, "*");
      if (asked.get("childId")) host.postMessage(["pym", asked.get("childId"), "height", height].join("xPYMx"), "*");
    }
    new ResizeObserver(tell).observe(shown);
    addEventListener("load", tell);
    addEventListener("message", function (event) { if (event.data && event.data.type === "weight-atlas:measure") tell(); });
  }

  // Promises the figure as a drawing; what makes one is fetched first.
  var asked;
  function draw(page) {
    asked = asked || new Promise(function (done, failed) {
      doc.head.append(make("script", { src: window.atlas.home + "drawing.js", onload: done, onerror: failed }));
    });
    return asked.then(function () { return window.atlas.draw(figure(page, ROWS)); });
  }

  // -- what is taken away --------------------------------------------------------------------------------------------------

  function svg(page) { return draw(page).then(function (drawing) { return { held: drawing.svg(page.title), missing: drawing.missing }; }); }

  function file(canvas) { return new Promise(function (done) { canvas.toBlob(done); }); }

  // The picture that opens the page, its pixels enlarged to squares. A file beside a page on a disk may not be read: it is given as it is.
  function picture() { return pick(".opening img.px, .matrix img.px"); }
  function enlarged() {
    var face = picture();
    return decoded(face).then(function () {
      var width = face.naturalWidth, height = face.naturalHeight, times = Math.max(1, Math.round(PIXELS / Math.max(width, height)));
      var canvas = make("canvas", { width: width * times, height: height * times }), pen = canvas.getContext("2d");
      pen.imageSmoothingEnabled = false;
      pen.drawImage(face, 0, 0, canvas.width, canvas.height);
      return file(canvas);
    }).then(function (held) { return { held: held, missing: 0 }; }, function () { return { url: face.src, missing: 0 }; });
  }
  function drawn(page) {
    return draw(page).then(function (drawing) {
      return window.atlas.picture("data:image/svg+xml," + encodeURIComponent(drawing.svg(page.title))).then(function (image) {
        var canvas = make("canvas", { width: 2 * drawing.width, height: 2 * drawing.height }), pen = canvas.getContext("2d");
        pen.fillStyle = "#fff";
        pen.fillRect(0, 0, canvas.width, canvas.height);
        pen.drawImage(image, 0, 0, canvas.width, canvas.height);
        return file(canvas);
      }).then(function (held) { return { held: held, missing: drawing.missing }; });
    });
  }

  // A cell of a table as a number where it is one: 23.8% as 0.238.
  function value(words) {
    var plain = words.replace("\u2212", "-").replace(/,(?=\d{3}\b)/g, "");
    if (!/^-?\d+(\.\d+)?(e[-+]?\d+)?%?$/.test(plain)) return words;
    return /%$/.test(plain) ? Number((parseFloat(plain) / 100).toPrecision(6)) : Number(plain);
  }
  function rowsOf(table, page, layer) {
    var heads = all("thead th", table).map(text), shares = heads.map(function (head) { return / %$/.test(head); });
    return all("tbody tr", table).map(function (row) {
      var said = {}, cells = [].slice.call(row.cells), link = cells[0].querySelector("a[href]");
      cells.forEach(function (cell, at) {
        said[(heads[at] || "column " + (at + 1)).replace(/ %$/, "")] = value(text(cell) + (shares[at] ? "%" : ""));
      });
      if (layer && /^\d/.test(text(cells[0]))) said.address = layer + ":" + parseInt(text(cells[0]), 10);
      if (link) said.page = absolute(link, page);
      return said;
    });
  }
  // The kernels of small multiples say in words what they are: "126 reads 33, norm 0.143, inhibits"; of which layers, the table.
  function multiplesOf(table, page) {
    return all("td [title]", table).map(function (cell) {
      var found = /^(\d+) reads (\d+), norm (\S+), (.+)$/.exec(cell.title);
      return found ? { neuron: table.dataset.reader + ":" + found[1], reads: table.dataset.source + ":" + found[2], norm: value(found[3]), sign: found[4] } : { about: cell.title };
    });
  }
  function linked(link, layer, page) {
    var said = { address: layer + ":" + parseInt(text(link), 10), page: absolute(link, page) }, more = link.querySelector("small");
    if (more) said.cosine = value(text(more));
    return said;
  }
  function tableOf(table, page) {
    var section = table.closest("section"), head = heading(table) || (section && section.querySelector("h3, h4")), layer = layerOf(table);
    var about = [text(section && section.querySelector(scope === doc ? "h2" : "h3")), text(head)].filter(Boolean).join(" ") || text(table.caption), one = { about: about };
    if (layer) one.layer = layer;
    var said = head && head.nextElementSibling;
    if (said && said.tagName === "P") one.shown = text(said);
    if (table.closest(".multiples")) one.connections = multiplesOf(table, page);
    else one.rows = rowsOf(table, page, layer);
    return one;
  }
  function numbers(page) {
    var told = { address: page.name, page: page.base, atlas: page.atlas }, lead = text(pick("main .lead"));
    if (page.model) told.model = page.model;
    if (page.label) told.label = page.label;
    if (page.authors.length) told.authors = page.authors;
    if (page.licence) told.licence = page.licence;
    if (lead) told.about = lead;
    all("main dl > div").forEach(function (fact) {
      if (fact.closest("#use, .use")) return;
      told.statistics = told.statistics || {};
      told.statistics[text(fact.querySelector("dt"))] = value(text(fact.querySelector("dd")));
    });
    all("main section").forEach(function (section) {
      var links = all(":scope > .grid a[href]", section), layer = text(section.querySelector("h2, h3")), key = section.closest(".opening") ? "alike" : "members";
      if (key === "alike") layer = page.name.replace(/:\d+$/, "");
      if (links.length) told[key] = (told[key] || []).concat(links.map(function (link) { return linked(link, layer, page); }));
    });
    told.tables = all("main table").map(function (table) { return tableOf(table, page); });
    if (!page.family) told.all = new URL("layer.json", page.base).href;
    return JSON.stringify(told, null, 1) + "\n";
  }

  function tex(words) {
    return words.replace(/[\\{}$&#%_~^\u2192]/g, function (sign) {
      return { "\u2192": "$\\rightarrow$", "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" }[sign] || "\\" + sign;
    });
  }
  function texAddress(url) { return url.replace(/[%#]/g, "\\$&"); }

  // The address of the figure of a page, or of a neuron on a page of many.
  function framed(base) {
    var parts = base.split("#");
    return parts[0] + "#embed" + (parts[1] ? "&at=" + parts[1] : "");
  }
  function snippets(page) {
    var face = pick('.opening img.px[src^="data:"]'), file = page.file + ".png", page_title = page.name + ", " + page.atlas;
    var cite = page.authors.map(function (one) { return / and /.test(one) ? "{" + tex(one) + "}" : tex(one); }).join(" and ");
    var note = [page.atlas, page.model, page.licence].filter(Boolean).map(tex).join(". ");
    var image = face ? '<img src="' + face.src + '" alt="' + escaped(page.name) + '" width="' + face.width + '" height="' + face.height +
      '" style="image-rendering: pixelated">' : escaped(page.name);
    return [
      ["Address", page.base],
      ["Markdown", "[![" + page.name.replace(/[[\]\\]/g, "\\$&") + "](" + file + ")](" + page.base + ")"],
      ["HTML", '<a href="' + escaped(page.base) + '">' + image + "</a>"],
      ["LaTeX", "\\href{" + texAddress(page.base) + "}{\\includegraphics[width=3cm]{" + file + "}}"],
      ["BibTeX", "@misc{" + page.file.replace(/[^\w-]/g, "_") + ",\n" + (cite ? "  author = {" + cite + "},\n" : "") + "  title = {{" + tex(page.name) +
        "}},\n  howpublished = {\\url{" + page.base + "}},\n  note = {" + note + "}\n}"],
      ["Frame", '<iframe src="' + escaped(framed(page.base)) + '" title="' + escaped(page_title) + '" width="100%" height="560" style="border:0"></iframe>\n' +
        '<script src="' + escaped(page.home) + 'embed.js" async><\/script>'],
      ["Element", '<script src="' + escaped(page.home) + 'card.js" async><\/script>\n<atlas-card href="' + escaped(page.base) + '">' +
        '<a href="' + escaped(page.base) + '">' + escaped(page_title) + "</a></atlas-card>"]
    ];
  }

  // -- the panel -----------------------------------------------------------------------------------------------------------

  function copied(words) {
    function oldWay() {
      var area = make("textarea", { value: words });
      doc.body.append(area);
      area.select();
      var done = doc.execCommand("copy");
      area.remove();
      return done ? Promise.resolve() : Promise.reject(new Error("the browser refused"));
    }
    return navigator.clipboard ? navigator.clipboard.writeText(words).catch(oldWay) : oldWay();
  }
  function save(name, kind, made) {
    var url = made.url || URL.createObjectURL(new Blob([made.held], { type: kind })), link = make("a", { href: url, download: name });
    if (made.url) link.target = "_blank";
    doc.body.append(link);
    link.click();
    link.remove();
    if (!made.url) setTimeout(function () { URL.revokeObjectURL(url); }, 60000);
  }

  function fill(panel) {
    var page = about(), said = make("p", { className: "quiet said" }), box = make("div", { className: "take" }), list = make("dl");
    said.setAttribute("role", "status");
    function say(words) { said.textContent = words; }
    function button(words, label, act) {
      var one = make("button", { type: "button", textContent: words, onclick: act });
      one.setAttribute("aria-label", label);
      return one;
    }
    snippets(page).forEach(function (each) {
      var act = button("copy", "Copy: " + each[0], function () {
        copied(each[1]).then(function () {
          say(each[0] + " copied.");
          act.textContent = "copied";
          setTimeout(function () { act.textContent = "copy"; }, 2000);
        }, function () { say(each[0] + " could not be copied: select it and copy it yourself."); });
      });
      list.append(make("div", {}, [make("dt", { textContent: each[0] }), make("dd", {}, [make("code", { textContent: each[1] })]), make("dd", {}, [act])]));
    });
    var files = make("p", { className: "files" }), offered = [
      ["Figure, PNG", picture() ? "-figure.png" : ".png", "image/png", drawn], ["Figure, SVG", ".svg", "image/svg+xml", svg],
      ["Numbers, JSON", ".json", "application/json", function () { return Promise.resolve({ held: numbers(page), missing: 0 }); }]
    ];
    if (picture()) offered.unshift(["Picture, PNG", ".png", "image/png", enlarged]);
    offered.forEach(function (each) {
      files.append(button(each[0], "Save: " + each[0], function () {
        scope = page.scope;
        each[3](page).then(function (made) {
          save(page.file + each[1], each[2], made);
          say(made.url ? "Opened from a folder, a page may not read that picture: its file opens in a window of its own." :
            page.file + each[1] + " saved." + (made.missing ? " Opened from a folder, a page may not read the pictures of other files: " +
            made.missing + " of them are left out. Over http they are not." : ""));
        }).catch(function () { say(each[0] + " could not be made."); });
      }));
    });
    var where = page.published ? "The permanent address of this page and what can be made of it." :
      location.protocol === "file:" ? "This atlas names no address at which it is published (site_url): the address below is one on this computer." :
        "This atlas names no address at which it is published (site_url): the address below is the one it was opened from.";
    where += " Markdown and LaTeX take the picture from a file: save " + offered[0][0] + ", beside the text.";
    box.append(make("p", { className: "quiet", textContent: where }), files, said, list);
    panel.append(box);
  }

  function start() {
    if (location.hash.slice(0, 6) === "#embed") return embed();
    all("#use[open], .use[open]", doc).forEach(function (panel) {
      scope = panel.closest(".neuron") || doc;
      if (!panel.querySelector(".take")) fill(panel);
    });
  }
  doc.addEventListener("toggle", function (event) { if (event.target.matches("#use, .use")) start(); }, true);
  if (doc.readyState === "loading") doc.addEventListener("DOMContentLoaded", start);
  else start();
})();
