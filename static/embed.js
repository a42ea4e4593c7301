// For pages that show figures of a weight atlas in frames: gives each frame the height of its figure.
(function () {
  "use strict";
  function frames() { return [].slice.call(document.getElementsByTagName("iframe")); }
  addEventListener("message", function (event) {
    var told = event.data;
    if (!told || told.type !== "weight-atlas:height" || !(told.height > 0)) return;
    frames().forEach(function (frame) {
      if (frame.contentWindow === event.source) frame.style.height = Math.min(told.height, 9999) + "px";
    });
  });
  // A figure that was there before this script has told its height to nobody: ask again.
  frames().forEach(function (frame) {
    if (/#embed\b/.test(frame.src)) frame.contentWindow.postMessage({ type: "weight-atlas:measure" }, "*");
  });
})();
