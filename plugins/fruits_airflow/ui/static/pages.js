// Airflow shows these pages in a frame that may not open windows or navigate the window around it (sandbox). Links to Airflow's
// own pages are therefore followed by the surrounding document, which has the same origin.
"use strict";
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-airflow]");
  if (!link || window.parent === window) {
    return;
  }
  event.preventDefault();
  const outside = window.parent.document.createElement("a");
  outside.href = link.href;
  outside.click();
});
