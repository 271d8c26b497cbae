// Lines over time, drawn by uPlot in the colours of the page.
import { html, useEffect, useRef } from "./html.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** points: [[seconds, value], …]; label says what it is, for those who cannot see it. */
export function Chart({ points, label, unit = "" }) {
  const box = useRef(null), plot = useRef(null);
  useEffect(() => {
    const place = box.current;
    const make = () => {
      plot.current?.destroy();
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
      const accent = colour("--accent");
      plot.current = new globalThis.uPlot({
        width: place.clientWidth, height: place.clientHeight, padding: [8, 8, 0, 0], legend: { show: false }, cursor: { y: false, points: { size: 7 } },
        scales: { x: { time: true, range: (_, first, last) => (last > first ? [first, last] : [Date.now() / 1000 - 60, Date.now() / 1000]) }, y: { range: (_, __, most) => [0, Math.max(1, (most || 0) * 1.15)] } },
        axes: [{ ...axis, size: 26, space: 70, values: [[60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, ":{ss}", null, null, null, null, null, null, 1]] }, { ...axis, size: 44 }],
        series: [{}, { label, stroke: accent, width: 1.7, fill: `${accent}22`, points: { show: false } }],
      }, latest.current, place);
    };
    make();
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: place.clientWidth, height: place.clientHeight }));
    sized.observe(place);
    const media = matchMedia("(prefers-color-scheme: dark)");
    addEventListener("theme", make);
    media.addEventListener("change", make);
    return () => { sized.disconnect(); removeEventListener("theme", make); media.removeEventListener("change", make); plot.current?.destroy(); plot.current = null; };
  }, []);
  const latest = useRef([[], []]);
  latest.current = [points.map(([at]) => at), points.map(([, value]) => value)];
  useEffect(() => { plot.current?.setData(latest.current); }, [points]);
  const now = points.at(-1)?.[1];
  return html`<div class="chart" role="img" aria-label=${`${label}${now == null ? "" : `, now ${Math.round(now * 10) / 10} ${unit}`}`} ref=${box}></div>`;
}
