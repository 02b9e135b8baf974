#include "track/report_page.h"

namespace pawl::track {

const char kReportStyle[] = R"css(
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #fff; --text: #1c2230; --soft: #667085; --line: #e3e6ec; --shade: #eef1f5;
  --c0: #2f6fde; --c1: #e07b1a; --c2: #1f9d62; --c3: #8a55d0; --c4: #d6404f; --c5: #6c7890; --c6: #b08d00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1b2029; --text: #e6e9ef; --soft: #98a2b5; --line: #2d3441; --shade: #242b37;
    --c0: #6ea3ff; --c1: #ffa657; --c2: #56cf94; --c3: #b99aff; --c4: #ff7b86; --c5: #97a5be; --c6: #e3c04d;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { margin: 0; font-size: 27px; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 10px; font-size: 16px; }
small { color: var(--soft); font-size: 12.5px; font-weight: 400; }
.about { margin: 4px 0 20px; color: var(--soft); }
.status { display: inline-block; margin-left: 10px; padding: 2px 10px; border-radius: 99px; font-size: 12.5px;
  font-weight: 600; vertical-align: 4px; background: var(--shade); color: var(--soft); }
.status.finished { color: var(--c2); } .status.running { color: var(--c0); } .status.interrupted { color: var(--c1); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin-bottom: 16px; }
.tile, section, .plot { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 12px 16px; }
.tile div { color: var(--soft); font-size: 12.5px; }
.tile b { display: block; font-size: 25px; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; }
section { padding: 14px 16px; margin-bottom: 16px; }
.top { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 16px; align-items: start; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 16px;
  margin-bottom: 16px; }
.plot { margin: 0; padding: 12px 14px 8px; position: relative; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 8px; align-items: baseline; margin-bottom: 4px; }
.legend { margin-left: auto; display: flex; flex-wrap: wrap; gap: 0 12px; font-size: 12.5px; color: var(--soft); }
.legend.wide { margin: 8px 0 0; gap: 2px 20px; font-size: 13.5px; color: var(--text); }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 5px; }
.legend i.dot { border-radius: 50%; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 11.5px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.yt { text-anchor: end; } .xt { text-anchor: middle; }
.grid { stroke: var(--line); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 1.9; stroke-linejoin: round; stroke-linecap: round; }
.band { opacity: .16; } .area { opacity: .85; } .bar { fill: none; stroke-width: 1.3; }
.cursor { stroke: var(--soft); stroke-dasharray: 3 3; visibility: hidden; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); } .s3 { stroke: var(--c3); }
.s4 { stroke: var(--c4); } .s5 { stroke: var(--c5); } .s6 { stroke: var(--c6); }
.f0 { fill: var(--c0); } .f1 { fill: var(--c1); } .f2 { fill: var(--c2); } .f3 { fill: var(--c3); }
.f4 { fill: var(--c4); } .f5 { fill: var(--c5); } .f6 { fill: var(--c6); }
.b0 { background: var(--c0); } .b1 { background: var(--c1); } .b2 { background: var(--c2); } .b3 { background: var(--c3); }
.b4 { background: var(--c4); } .b5 { background: var(--c5); } .b6 { background: var(--c6); }
.tip { position: absolute; pointer-events: none; visibility: hidden; z-index: 2; padding: 6px 10px; border-radius: 7px;
  background: var(--card); border: 1px solid var(--line); box-shadow: 0 4px 14px #0003; font-size: 12.5px;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
.tip i { display: inline-block; width: 9px; height: 9px; border-radius: 3px; margin-right: 6px; }
.timebar { display: flex; height: 22px; border-radius: 6px; overflow: hidden; background: var(--shade); }
.timebar i { display: block; }
video { display: block; width: 100%; border-radius: 6px; background: #000; }
.sample { margin: 10px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.sample b { color: var(--c0); font-weight: 650; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th { padding: 3px 0; text-align: left; font-weight: 500; color: var(--soft); }
th:last-child { text-align: right; }
td { padding: 3px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
tr:first-child td { border-top: 0; }
td:last-child { text-align: right; color: var(--soft); white-space: nowrap; padding-left: 16px; }
a { color: var(--c0); text-decoration: none; } a:hover { text-decoration: underline; }
summary { cursor: pointer; font-weight: 650; font-size: 16px; }
pre { margin: 10px 0 0; overflow-x: auto; font: 13px/1.5 ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; }
footer { color: var(--soft); font-size: 12.5px; }
@media (max-width: 760px) { .top { grid-template-columns: minmax(0, 1fr); } }
)css";

const char kReportScript[] = R"js(
function shown(value, data) {
  if (value === null) return "-";
  if (data.percent) return (100 * value).toFixed(1) + " %";
  const size = Math.abs(value);
  const text = size >= 1e5 || (size < 1e-3 && size > 0) ? value.toExponential(3) : String(+value.toPrecision(4));
  return data.unit ? text + " " + data.unit : text;
}
function nearest(list, x) {
  let low = 0, high = list.length - 1;
  while (high - low > 1) { const middle = (low + high) >> 1; if (list[middle] < x) low = middle; else high = middle; }
  return x - list[low] < list[high] - x ? low : high;
}
for (const plot of document.querySelectorAll(".plot")) {
  const data = JSON.parse(plot.querySelector("script").textContent);
  const bare = {percent: data.percent};
  const svg = plot.querySelector("svg"), cursor = plot.querySelector(".cursor");
  const tip = plot.appendChild(Object.assign(document.createElement("div"), {className: "tip"}));
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const share = ((event.clientX - box.left) * scale - data.left) / (data.right - data.left);
    if (share < -0.02 || share > 1.02) return hide();
    const wanted = data.x0 + share * (data.x1 - data.x0);
    const line = data.series.find(s => s.x.length > 1) || data.series[0];
    const x = line.x[nearest(line.x, wanted)];
    const at = data.left + (x - data.x0) / (data.x1 - data.x0) * (data.right - data.left);
    cursor.setAttribute("transform", `translate(${at} 0)`);
    cursor.style.visibility = "visible";
    tip.textContent = "";
    const row = (text, color) => {
      const div = tip.appendChild(document.createElement("div"));
      if (color !== undefined) div.appendChild(document.createElement("i")).className = "b" + color;
      div.append(text);
    };
    row(Math.round(x).toLocaleString("en") + " " + data.x_unit);
    for (const s of data.series) {
      const i = nearest(s.x, x);
      if (Math.abs(s.x[i] - x) > 0.02 * (data.x1 - data.x0)) continue;
      const range = s.low && s.low[i] !== null && s.low[i] !== s.high[i]
        ? ` (${shown(s.low[i], bare)} to ${shown(s.high[i], bare)})` : "";
      row((data.series.length > 1 ? s.name + " " : "") + shown(s.y[i], data) + range, s.color);
    }
    const offset = event.clientX - plot.getBoundingClientRect().left;
    const left = offset + tip.offsetWidth + 24 > plot.offsetWidth ? offset - tip.offsetWidth - 14 : offset + 14;
    tip.style.left = Math.max(4, left) + "px";
    tip.style.top = "44px";
    tip.style.visibility = "visible";
  });
  const hide = () => { tip.style.visibility = cursor.style.visibility = "hidden"; };
  svg.addEventListener("pointerleave", hide);
}
)js";

}  // namespace pawl::track
