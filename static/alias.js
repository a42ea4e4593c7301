// On a page that stands for neurons of another layer: leads from the place that was asked for to the one it stands for.
(function () {
  function lead() {
    var link = document.getElementById(location.hash.slice(1));
    location.replace(link && link.href ? link.href : document.querySelector("main a").href);
  }
  lead();
})();
