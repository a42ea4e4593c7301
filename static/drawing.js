// A laid-out part of a page as a drawing of its own, in SVG: every tile, line and word where the browser has put it. Pictures are held
// within it, text stays text, links stay links. Fetched by take.js when something is saved.
(function () {
  "use strict";
  var doc = document, root = doc.documentElement;

  function all(selector, within) { return [].slice.call(within.querySelectorAll(selector)); }
  function escaped(words) {
    return String(words).replace(/[&<>"]/g, function (sign) { return { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[sign]; });
  }
  function make(name, properties) { return Object.assign(doc.createElement(name), properties); }

  function loaded(url) {
    return new Promise(function (done) {
      var image = new Image();
      image.onload = function () { done(image); };
      image.onerror = function () { done(null); };
      image.src = url;
    });
  }
  function address(style) { return (/^url\("(.*)"\)$/.exec(style.backgroundImage) || [])[1]; }
  function number(length) { return parseFloat(length) || 0; }
  function short(value) { return Math.round(value * 100) / 100; }

  // Part of a picture in its own pixels, as a data URI; "" where the browser does not let a script read it (a file beside this page).
  function cut(image, x, y, width, height, times, tint) {
    var canvas = make("canvas", { width: width * times, height: height * times }), pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, x, y, width, height, 0, 0, canvas.width, canvas.height);
    if (tint) {
      pen.globalCompositeOperation = "multiply";
      pen.fillStyle = tint;
      pen.fillRect(0, 0, canvas.width, canvas.height);
    }
    try { return canvas.toDataURL(); } catch (refused) { return ""; }
  }

  // Tiles are mostly drawn before and after elements, where a script cannot ask for their place: elements of their own take theirs.
  var LAID = ["display", "position", "left", "top", "width", "height", "order", "flex", "margin", "background-image", "background-position",
    "background-size", "background-color", "background-blend-mode", "box-shadow", "image-rendering"];
  function embody(element) {
    ["::before", "::after"].forEach(function (which) {
      var style = getComputedStyle(element, which), tile = doc.createElement("span");
      if (style.content === "none" || !address(style)) return;
      LAID.forEach(function (name) { tile.style.setProperty(name, style.getPropertyValue(name)); });
      element[which === "::before" ? "prepend" : "append"](tile);
    });
    element.classList.add("embodied");
  }

  function Drawing(box, images) {
    var origin = box.getBoundingClientRect(), pen = make("canvas").getContext("2d"), parts = [], missing = 0;

    function place(rect) { return 'x="' + short(rect.left - origin.left) + '" y="' + short(rect.top - origin.top) + '"'; }
    function extent(rect) { return 'width="' + short(rect.width) + '" height="' + short(rect.height) + '"'; }
    function picture(uri, rect, style) {
      var drawn = style.imageRendering === "pixelated" ? ' style="image-rendering:pixelated"' : "";
      if (!uri) missing += 1;
      else parts.push("<image " + place(rect) + " " + extent(rect) + ' href="' + uri + '" preserveAspectRatio="none"' + drawn + "/>");
    }
    function framed(style, rect) {
      var line = /^(rgba?\([^)]*\)) 0px 0px 0px 1px$/.exec(style.boxShadow);
      if (line) parts.push("<rect " + place(rect) + " " + extent(rect) + ' fill="none" stroke="' + line[1] + '"/>');
    }

    // What an element, or what stands before or after it, has for a background.
    function ground(style, rect) {
      var image = images[address(style)];
      if (image) {
        var size = style.backgroundSize.split(" "), at = style.backgroundPosition.split(" ").map(number);
        if (parseFloat(size[0]) === 0) return; // it only hands its picture on
        size = size.map(function (side, axis) { return /%$/.test(side) ? number(side) / 100 * [rect.width, rect.height][axis] : number(side); });
        var scale = size[0] ? size[0] / image.naturalWidth : size[1] ? size[1] / image.naturalHeight : 1;
        var tint = style.backgroundBlendMode === "multiply" ? style.backgroundColor : "";
        var cutting = [-at[0] / scale, -at[1] / scale, rect.width / scale, rect.height / scale].map(Math.round);
        picture(cut.apply(null, [image].concat(cutting, 1, tint)), rect, style);
      } else if (!/^(transparent|rgba\(.*, 0\))$/.test(style.backgroundColor) && rect.width * rect.height) {
        parts.push("<rect " + place(rect) + " " + extent(rect) + ' fill="' + style.backgroundColor + '"/>');
      }
      framed(style, rect);
    }
    function lines(element, style) {
      var rect = element.getBoundingClientRect();
      [["Top", rect.top], ["Bottom", rect.bottom]].forEach(function (side) {
        var width = number(style["border" + side[0] + "Width"]);
        if (!width || style["border" + side[0] + "Style"] === "none") return;
        var y = short(side[1] - origin.top + (side[0] === "Top" ? width / 2 : -width / 2)), x = short(rect.left - origin.left);
        parts.push('<path d="M' + x + " " + y + "h" + short(rect.width) + '" stroke="' + style["border" + side[0] + "Color"] + '" stroke-width="' + width + '"/>');
      });
    }

    // A run of words on one line, as text.
    function write(words, from, to, style) {
      pen.font = [style.fontWeight, style.fontSize, style.fontFamily].join(" "); // style.font is empty where it says more
      var right = style.textAlign === "right" || style.textAlign === "end", x = right ? to.right : from.left;
      var y = from.top + pen.measureText("x").fontBoundingBoxAscent;
      parts.push('<text x="' + short(x - origin.left) + '" y="' + short(y - origin.top) + '"' + (right ? ' text-anchor="end"' : "") +
        ' font-size="' + number(style.fontSize) + '"' + (style.fontWeight >= 600 ? ' font-weight="' + style.fontWeight + '"' : "") +
        ' fill="' + style.color + '">' + escaped(words.join(" ")) + "</text>");
    }
    function spell(node) {
      var style = getComputedStyle(node.parentNode), words = [], start = null, end = null, word, find = /\S+/g, range = doc.createRange();
      while ((word = find.exec(node.data))) {
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        var rect = range.getClientRects()[0];
        if (!rect || !rect.width) continue;
        if (start && Math.abs(rect.top - start.top) > 2) { write(words, start, end, style); words = []; start = null; }
        start = start || rect;
        end = rect;
        words.push(word[0]);
      }
      if (start) write(words, start, end, style);
    }

    function graphic(element) {
      var copy = element.cloneNode(true), from = [element].concat(all("*", element)), rect = element.getBoundingClientRect();
      [copy].concat(all("*", copy)).forEach(function (one, at) {
        var style = getComputedStyle(from[at]);
        ["fill", "stroke", "stroke-width", "stroke-opacity", "fill-opacity", "opacity", "vector-effect", "font-size", "text-anchor"].forEach(function (name) {
          if (style.getPropertyValue(name)) one.setAttribute(name, style.getPropertyValue(name));
        });
        ["class", "id", "style"].forEach(function (name) { one.removeAttribute(name); });
        if (one.getAttribute("href")) one.setAttribute("href", new URL(one.getAttribute("href"), location.href).href);
      });
      copy.setAttribute("x", short(rect.left - origin.left));
      copy.setAttribute("y", short(rect.top - origin.top));
      copy.setAttribute("width", short(rect.width));
      copy.setAttribute("height", short(rect.height));
      parts.push(new XMLSerializer().serializeToString(copy).replace(' xmlns="http://www.w3.org/2000/svg"', ""));
    }

    function walk(element) {
      var style = getComputedStyle(element), rect = element.getBoundingClientRect();
      if (style.display === "none" || style.visibility === "hidden" || element.classList.contains("hide")) return;
      if (element instanceof SVGSVGElement) { graphic(element); return; }
      var linked = element.tagName === "A" && element.hasAttribute("href");
      if (linked) parts.push('<a href="' + escaped(element.href) + '">');
      if (element !== box) { ground(style, rect); lines(element, style); }
      if (element.tagName === "IMG" && images[element.src]) {
        picture(cut(images[element.src], 0, 0, images[element.src].naturalWidth, images[element.src].naturalHeight, 1), rect, style);
      }
      [].forEach.call(element.childNodes, function (child) {
        if (child.nodeType === 1) walk(child);
        else if (child.nodeType === 3) spell(child);
      });
      if (linked) parts.push("</a>");
    }

    walk(box);
    var width = Math.ceil(origin.width), height = Math.ceil(origin.height), family = getComputedStyle(box).fontFamily;
    this.missing = missing;
    this.width = width;
    this.height = height;
    this.svg = function (title) {
      return '<svg xmlns="http://www.w3.org/2000/svg" width="' + width + '" height="' + height + '" viewBox="0 0 ' + width + " " + height +
        '" font-family="' + escaped(family) + '"><title>' + escaped(title) + "</title>\n" + parts.join("\n") + "\n</svg>\n";
    };
  }

  // Promises a drawing of `box`, laid out unseen, on light paper whatever the reader's theme.
  window.atlas.draw = function (box) {
    var stage = doc.createElement("div"), urls = [], images = {};
    stage.className = "stage";
    stage.append(box);
    function within(act) {
      var theme = root.dataset.theme;
      root.dataset.theme = "light";
      doc.body.append(stage);
      try { return act(); } finally {
        stage.remove();
        if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
      }
    }
    within(function () {
      all("*", stage).forEach(embody);
      all("*", stage).forEach(function (one) { urls.push(one.tagName === "IMG" ? one.src : address(getComputedStyle(one))); });
    });
    urls = urls.filter(function (url, at) { return url && urls.indexOf(url) === at; });
    return Promise.all(urls.map(loaded)).then(function (found) {
      urls.forEach(function (url, at) { if (found[at]) images[url] = found[at]; });
      return within(function () { return new Drawing(box, images); });
    });
  };
  window.atlas.picture = loaded;
})();
