"""Style and behaviour of the page of a sweep, besides those of all pages."""

STYLE = """\
main { max-width: 1240px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 12px; }
.chart { width: 100%; height: auto; font-size: 11px; }
.chart text { fill: var(--soft); }
.chart .title { font-size: 12px; fill: var(--ink); }
.chart .label { fill: var(--ink); pointer-events: none; }
.chart .grid { stroke: var(--line); }
.chart .lead { stroke: var(--line); }
.chart .step { fill: none; stroke: var(--cool); stroke-width: 1.5; }
.spot { cursor: pointer; outline: none; }
.spot.front { color: var(--cool); }
.spot.beside { color: var(--soft); }
.spot.over { color: var(--bad); }
.spot.lit > :last-child { stroke: var(--warn); stroke-width: 4; }
tr.lit td { background: var(--warn-ground); }
th { cursor: pointer; }
.no-over .over, .no-over tr[data-over] { display: none; }
.charts[data-scale=near] [data-scale=all], .charts[data-scale=all] [data-scale=near] {
  display: none;
}
.keys { display: flex; flex-wrap: wrap; gap: 6px 22px; margin-bottom: 12px; }
.keys .front { color: var(--cool); } .keys .over { color: var(--bad); }
#tip {
  position: fixed; display: none; z-index: 2; padding: 8px 12px; pointer-events: none;
  background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
  box-shadow: 0 4px 14px #0003; font-size: 13px; white-space: pre; max-width: 90vw;
}
"""
SCRIPT = """\
const all = (query) => [...document.querySelectorAll(query)];
const tip = document.getElementById("tip");
let kept = null;
function light(point) {
  for (const part of all("[data-point]")) {
    part.classList.toggle("lit", part.dataset.point === point || part.dataset.point === kept);
  }
}
for (const part of all("[data-point]")) {
  const point = part.dataset.point;
  part.addEventListener("mousemove", (event) => {
    light(point);
    if (part.closest("table")) return;
    tip.textContent = document.querySelector(`tr[data-point="${point}"]`).title;
    tip.style.display = "block";
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  });
  part.addEventListener("mouseleave", () => { tip.style.display = "none"; light(null); });
  part.addEventListener("click", () => { kept = kept === point ? null : point; light(point); });
}
document.getElementById("everything")?.addEventListener("change", (event) => {
  document.querySelector(".charts").dataset.scale = event.target.checked ? "all" : "near";
});
document.getElementById("over")?.addEventListener("change", (event) => {
  document.body.classList.toggle("no-over", !event.target.checked);
});
all("th").forEach((head, column) => head.addEventListener("click", () => {
  const body = document.querySelector("tbody");
  const down = head.dataset.down === "1";
  head.dataset.down = down ? "" : "1";
  const value = (row) => row.cells[column].textContent.replaceAll(",", "");
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const order = x === "" || y === "" || isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return down ? -order : order;
  });
  body.append(...rows);
}));
"""
