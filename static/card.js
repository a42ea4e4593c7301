// <atlas-card href="https://example.org/atlas/model/mixed3a/147.html"></atlas-card>: a neuron, a pair of layers or a family of a weight
// atlas, in any page. A classic script; load it once. Attributes, all but the first optional: `href` the page; `rows` how many
// connections to show each way; `theme` "light" or "dark"; `height` in pixels until the figure has told its own. What stands inside the
// element, a link say, shows where no script runs.
(function () {
  "use strict";
  if (!window.customElements || customElements.get("atlas-card")) return;

  function address(card) {
    var url = new URL(card.getAttribute("href"), document.baseURI), told = ["embed"];
    if (/^#n\d+$/.test(url.hash)) told.push("at=" + url.hash.slice(1)); // a neuron on a page of many
    ["rows", "theme"].forEach(function (name) {
      if (card.hasAttribute(name)) told.push(name + "=" + encodeURIComponent(card.getAttribute(name)));
    });
    if (!/^(https?|file):$/.test(url.protocol)) throw new TypeError("atlas-card: not the address of a page: " + url.href);
    url.hash = told.join("&");
    return url.href;
  }

  function show(card) {
    var root = card.shadowRoot || card.attachShadow({ mode: "open" }), frame = document.createElement("iframe");
    root.textContent = "";
    if (!card.getAttribute("href")) return;
    frame.title = card.getAttribute("title") || card.textContent.trim() || "A figure of a weight atlas";
    frame.loading = "lazy";
    frame.style.cssText = "display:block;width:100%;border:0;height:" + (parseInt(card.getAttribute("height"), 10) || 320) + "px";
    frame.src = address(card);
    root.appendChild(frame);
    card.style.display = card.style.display || "block";
  }

  class AtlasCard extends HTMLElement {
    static get observedAttributes() { return ["href", "rows", "theme"]; }

    connectedCallback() {
      show(this);
      this.hear = this.hear || this.heard.bind(this);
      addEventListener("message", this.hear);
    }

    disconnectedCallback() { removeEventListener("message", this.hear); }

    attributeChangedCallback(name, before, after) { if (before !== after && this.isConnected && this.hear) show(this); }

    heard(event) {
      var frame = this.shadowRoot.querySelector("iframe"), told = event.data;
      if (!frame || frame.contentWindow !== event.source || !told || told.type !== "weight-atlas:height") return;
      if (told.height > 0) frame.style.height = Math.min(told.height, 9999) + "px";
    }
  }
  customElements.define("atlas-card", AtlasCard);
})();
