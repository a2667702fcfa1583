"use strict";

// Nothing here is needed to read the page: it filters the lists and unfolds everything for print.
for (const form of document.querySelectorAll("form.filter")) {
  const list = document.getElementById(form.dataset.list);
  const field = form.elements;
  const items = Array.from(list.querySelectorAll("[data-item]"), (element) => ({
    element,
    text: element.textContent.toLowerCase(),
  }));

  const apply = () => {
    const words = field.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = field.kind.value;
    const unrelated = Boolean(field.unrelated && field.unrelated.checked);
    let shown = 0;
    for (const { element, text } of items) {
      element.hidden =
        !words.every((word) => text.includes(word)) ||
        (kind !== "" && element.dataset.kind !== kind) ||
        (unrelated && "related" in element.dataset);
      shown += Number(!element.hidden);
    }
    field.count.value = `${shown} of ${items.length} shown`;
    for (const more of list.querySelectorAll("details.more")) {
      more.open = more.open || words.length > 0 || kind !== "" || unrelated;
    }
  };

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}

const opened = [];
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    opened.push(details);
  }
});
addEventListener("afterprint", () => {
  for (const details of opened.splice(0)) {
    details.open = false;
  }
});

// A link to something folded opens it.
const reveal = () => {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  for (let place = target; place; place = place.parentElement) {
    if (place.tagName === "DETAILS") {
      place.open = true;
    }
  }
  if (target) {
    target.scrollIntoView();
  }
};
addEventListener("hashchange", reveal);
reveal();
