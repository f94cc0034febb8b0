(function () {
  "use strict";
  var collator = new Intl.Collator(document.documentElement.lang, { numeric: true });

  function value(row, place) {
    var cell = row.cells[place];
    return cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
  }

  function sort(table, place, numeric, descending) {
    var body = table.tBodies[0];
    var rows = Array.from(body.rows).map(function (row) {
      var text = value(row, place);
      return { row: row, key: numeric ? parseFloat(text) : text, empty: text === "" };
    });
    rows.sort(function (a, b) {
      if (a.empty || b.empty) { return a.empty - b.empty; }
      var order = numeric ? a.key - b.key : collator.compare(a.key, b.key);
      return descending ? -order : order;
    });
    var all = document.createDocumentFragment();
    rows.forEach(function (item) { all.appendChild(item.row); });
    body.appendChild(all);
  }

  function makeSortable(table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, place) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", function () {
        var descending = head.getAttribute("aria-sort") === "ascending";
        Array.from(head.parentNode.cells).forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(table, place, head.dataset.numeric !== undefined, descending);
      });
    });
  }

  function makeFilter(box) {
    var input = box.querySelector("input");
    var count = box.querySelector("output");
    var rows = Array.from(box.querySelector("tbody").rows);
    var texts = null;
    function apply() {
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      texts = texts || rows.map(function (row) { return row.textContent.toLowerCase(); });
      var shown = 0;
      rows.forEach(function (row, place) {
        var hit = words.every(function (word) { return texts[place].includes(word); });
        row.hidden = !hit;
        shown += hit;
      });
      count.textContent = shown + " / " + rows.length;
    }
    input.addEventListener("input", apply);
    count.textContent = rows.length + " / " + rows.length;
    box.querySelector(".tools").hidden = rows.length < 6;
    return function () { input.value = ""; apply(); };
  }

  var clear = new Map();
  document.querySelectorAll(".table").forEach(function (box) {
    makeSortable(box.querySelector("table"));
    clear.set(box, makeFilter(box));
  });

  function reveal() {
    var id = decodeURIComponent(location.hash.slice(1));
    var target = id && document.getElementById(id);
    if (!target) { return; }
    for (var node = target; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") { node.open = true; }
      if (clear.has(node) && target.hidden) { clear.get(node)(); }
    }
    target.scrollIntoView({ block: "center" });
  }
  window.addEventListener("hashchange", reveal);
  reveal();

  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    opened.forEach(function (item) { item.open = true; });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (item) { item.open = false; });
  });
})();
