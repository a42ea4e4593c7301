// The choice between light and dark, kept for the next page. Without this script the system's choice holds.
(function () {
  var root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)"), stored = null;
  try { stored = localStorage.getItem("atlas-theme"); } catch (refused) { /* a browser may forbid it */ }
  if (stored) root.dataset.theme = stored;
  function other() { return (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark"; }
  addEventListener("DOMContentLoaded", function () {
    var bar = document.querySelector(".bar"), button = document.createElement("button");
    if (!bar) return;
    button.type = "button";
    button.textContent = other();
    button.setAttribute("aria-label", "Change to the " + other() + " theme");
    button.onclick = function () {
      root.dataset.theme = other();
      try { localStorage.setItem("atlas-theme", root.dataset.theme); } catch (refused) { /* it holds for this page */ }
      button.textContent = other();
      button.setAttribute("aria-label", "Change to the " + other() + " theme");
    };
    bar.append(button);
  });
})();
