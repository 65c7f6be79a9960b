"use strict";
// Renews the page's middle every few seconds while somebody looks at it, and says so when it no longer can.
(() => {
  const every = 4000;
  const live = document.getElementById("live");
  const beat = document.getElementById("beat");
  let shown = "";
  let answered = Date.now();

  function two(number) {
    return String(number).padStart(2, "0");
  }

  // Times are sent in UTC and shown in the time of whoever looks.
  function localise() {
    const today = new Date().toDateString();
    for (const element of live.querySelectorAll("time")) {
      const at = new Date(element.dateTime);
      const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
      const day = `${two(at.getMonth() + 1)}-${two(at.getDate())} `;
      element.textContent = (at.toDateString() === today ? "" : day) + clock;
      element.title = element.dateTime;
    }
  }

  function say(isLive) {
    document.body.classList.toggle("frozen", !isLive);
    const text = isLive ? beat.dataset.live : `${beat.dataset.frozen} (${new Date(answered).toLocaleTimeString()})`;
    if (beat.textContent !== text) beat.textContent = text;
  }

  async function renew() {
    if (document.hidden) return;
    try {
      const answer = await fetch(live.dataset.from, { cache: "no-store", signal: AbortSignal.timeout(8000) });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) return say(false);
      const text = await answer.text();
      answered = Date.now();
      if (text !== shown) {
        // Rendered and escaped by the hub's templates.
        live.innerHTML = text;
        shown = text;
        localise();
      }
      say(true);
    } catch {
      say(false);
    }
  }

  localise();
  setInterval(renew, every);
  document.addEventListener("visibilitychange", renew);
})();
