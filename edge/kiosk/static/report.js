// The shift report: local times, two keys, and back to the gate as soon as somebody is scanned.

const back = document.getElementById("back");
const short = new Intl.DateTimeFormat(document.documentElement.lang, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
for (const time of document.querySelectorAll("time")) time.textContent = short.format(Number(time.dataset.ms));

back.href = `/${location.search}`;
document.getElementById("print").addEventListener("click", () => print());
document.addEventListener("keydown", (event) => {
  if (event.code === "Escape" || event.code === "KeyR") location.assign(back.href);
  if (event.code === "KeyP" && !event.ctrlKey && !event.metaKey) print();
});
new EventSource("/events?paints=no").onmessage = ({ data }) => {
  // The verdict is still showing when the gate page opens: its snapshot brings it.
  if (JSON.parse(data).type === "verdict") location.assign(back.href);
};
