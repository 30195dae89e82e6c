// Tables that sort, charts that say their values. Without it the page shows the same numbers.
(function () {
  "use strict";

  function key(cell) {
    var text = cell ? (cell.dataset.sort || cell.textContent).trim() : "";
    var number = parseFloat(text.replace("\u2212", "-").replace(/^\D*?(?=-?\d)/, ""));
    return { text: text, number: number };
  }

  function compare(one, two) {
    var a = key(one), b = key(two);
    var both = !isNaN(a.number) && !isNaN(b.number);
    return both && a.number !== b.number ? a.number - b.number : a.text.localeCompare(b.text);
  }

  function sortBy(table, head, column) {
    var rising = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("thead th[aria-sort]").forEach(function (other) {
      other.setAttribute("aria-sort", "none");
    });
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    var rows = Array.from(table.tBodies[0].rows);
    rows.sort(function (one, two) {
      return (rising ? 1 : -1) * compare(one.cells[column], two.cells[column]);
    });
    rows.forEach(function (row) { table.tBodies[0].appendChild(row); });
  }

  document.querySelectorAll("table.sortable").forEach(function (table) {
    if (table.tBodies[0].rows.length < 2) { return; }
    table.querySelectorAll("thead th").forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", function () { sortBy(table, head, column); });
    });
  });

  var tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  document.body.appendChild(tip);
  var shown = null;

  function hide() {
    if (shown) { shown.classList.remove("at"); }
    shown = null;
    tip.textContent = "";
    tip.style.display = "none";
  }

  function show(mark) {
    hide();
    shown = mark;
    mark.classList.add("at");
    tip.textContent = mark.getAttribute("aria-label");
    tip.style.display = "block";
    var box = mark.getBoundingClientRect();
    var left = box.left + box.width / 2 - tip.offsetWidth / 2;
    left = Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4));
    var above = box.top - tip.offsetHeight - 6;
    tip.style.left = left + window.scrollX + "px";
    tip.style.top = (above < 0 ? box.bottom + 6 : above) + window.scrollY + "px";
  }

  document.querySelectorAll("figure svg").forEach(function (chart) {
    var marks = Array.from(chart.querySelectorAll("path[role='graphics-symbol']"));
    if (!marks.length) { return; }
    marks.forEach(function (mark) {
      // The browser's own title would come late, and twice.
      mark.querySelectorAll("title").forEach(function (title) { title.remove(); });
      mark.addEventListener("mouseenter", function () { show(mark); });
      mark.addEventListener("mouseleave", hide);
    });
    chart.setAttribute("tabindex", "0");
    chart.setAttribute("aria-label", "Chart; left and right go from value to value");
    chart.addEventListener("keydown", function (event) {
      var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") { hide(); }
      if (!step) { return; }
      var at = marks.indexOf(shown);
      show(marks[at < 0 ? (step > 0 ? 0 : marks.length - 1)
        : (at + step + marks.length) % marks.length]);
      event.preventDefault();
    });
    chart.addEventListener("blur", hide);
  });

  document.documentElement.dataset.ready = "yes";
}());
