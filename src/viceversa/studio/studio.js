"use strict";
// Before and after, as in the report: the range lies invisibly over its two pictures, which may appear at any time.
addEventListener("input", ({ target }) => {
  if (target.matches(".slider input")) target.parentElement.style.setProperty("--split", target.value + "%");
});
