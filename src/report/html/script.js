"use strict";
(() => {
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const PAGE = 50;

  // Language: both stand in the page, one is shown.
  const speak = (language) => {
    root.dataset.lang = language;
    root.lang = language === "zh" ? "zh-CN" : "en";
    for (const it of document.querySelectorAll("[data-zh]")) {
      const text = it.dataset[language];
      if (it.tagName === "INPUT") it.placeholder = text;
      else if (it.dataset.rule) it.title = text;
      else it.textContent = text;
    }
    tell();
  };
  const toggle = $("language");
  toggle.hidden = false;
  toggle.addEventListener("click", () => speak(root.dataset.lang === "zh" ? "en" : "zh"));

  // The list of breaks: search, filters, order, and fifty at a time.
  const list = $("list");
  const body = list && list.tBodies[0];
  const rows = body ? [...body.rows] : [];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const filters = ["rule", "severity", "side"];
  let shown = PAGE;
  let fitting = rows.length;

  const apply = () => {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    fitting = 0;
    for (const row of body.rows) {
      const fits =
        filters.every((key) => !$(key).value || row.dataset[key] === $(key).value) &&
        words.every((word) => texts.get(row).includes(word));
      row.hidden = !fits || ++fitting > shown;
    }
    $("nothing").hidden = fitting > 0;
    $("more").hidden = fitting <= shown;
    tell();
  };
  const tell = () => {
    if (!body) return;
    const zh = root.dataset.lang === "zh";
    const now = Math.min(shown, fitting);
    $("count").textContent = zh ? `显示 ${now} / ${fitting} 笔` : `${now} of ${fitting} shown`;
  };
  const narrow = () => {
    shown = PAGE;
    apply();
  };
  const order = (button) => {
    const key = button.dataset.sort;
    const falling = button.dataset.falling ? !(button.dataset.falling === "true") : key !== "rule";
    for (const other of list.querySelectorAll("[data-sort]")) delete other.dataset.falling;
    button.dataset.falling = falling;
    const value = (row) => (key === "rule" ? row.dataset.rule : Number(row.dataset[key]));
    const compare = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
    rows.sort((a, b) => (falling ? -1 : 1) * compare(a, b));
    body.append(...rows);
    apply();
  };

  if (body) {
    $("tools").hidden = false;
    $("search").addEventListener("input", narrow);
    for (const key of filters) $(key).addEventListener("change", narrow);
    $("more").addEventListener("click", () => {
      shown += PAGE;
      apply();
    });
    for (const button of list.querySelectorAll("[data-sort]")) button.addEventListener("click", () => order(button));
    for (const button of document.querySelectorAll(".rules [data-rule]")) {
      button.addEventListener("click", () => {
        $("rule").value = button.dataset.rule;
        narrow();
        $("breaks").scrollIntoView({ behavior: "smooth" });
      });
    }
  }
  speak(root.dataset.lang);
  if (body) apply();
})();
