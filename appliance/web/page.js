// Refreshes the page in place, so that pictures and the reader's place stay.
"use strict";
const refresh = Number(document.currentScript.dataset.refresh) * 1000;
if (refresh > 0) {
  const update = async () => {
    try {
      const answer = await fetch(location.href);
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
        const main = document.getElementById("main");
        if (fresh && fresh.innerHTML !== main.innerHTML) main.replaceWith(fresh);
      }
    } catch { /* the appliance restarts: try again */ }
    setTimeout(update, refresh);
  };
  setTimeout(update, refresh);
}
