// Draws the code anew. What cannot be drawn anew is never left standing as if it were fresh.

const config = JSON.parse(document.getElementById("config").textContent);
const [code, problem, bar, digits] = ["code", "problem", "age", "digits"].map((id) => document.getElementById(id));
const everyMs = config.every * 1000;
digits.value = config.digits;
let timer = 0;
let drawing = 0;

function isWhole(text) {
  return text === "" || /^[0-9]{8}$/.test(text);
}

function draw() {
  clearTimeout(timer);
  timer = setTimeout(draw, everyMs);
  const text = digits.value.replace(/[^0-9]/g, "");
  if (!isWhole(text)) return code.classList.add("old"); // half of the digits: nothing to show yet
  drawing += 1;
  code.src = `/code.svg?digits=${text}&drawing=${drawing}`;
}

code.addEventListener("load", () => {
  code.classList.remove("old");
  problem.hidden = true;
  bar.firstElementChild.animate([{ width: "100%" }, { width: "0" }], { duration: everyMs });
});

code.addEventListener("error", async () => {
  code.classList.add("old");
  const said = await fetch(code.src).then((answer) => answer.text()).catch((error) => error.message);
  problem.hidden = false;
  problem.textContent = said;
});

digits.addEventListener("input", draw);
document.getElementById("ask").addEventListener("submit", (event) => event.preventDefault());
// A page that was in the background has an old code until it is drawn.
document.addEventListener("visibilitychange", () => (document.hidden ? code.classList.add("old") : draw()));
draw();
