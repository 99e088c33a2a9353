// The chart of a product's stock over time, drawn by uPlot.
import uPlot from 'uplot';

const height = 220;
const series = ['available', 'reserved', 'committed'];

const resolved = (element, name) => { // light-dark() is resolved by an element's own colour
  element.style.color = `var(--series-${name})`;
  const value = getComputedStyle(element).color;
  element.style.color = '';
  return value;
};

const day = 86_400;

function options(box, { labels, onMoment, clock, date }, span) {
  const axis = () => ({ stroke: () => resolved(box, 'axis'), grid: { stroke: () => resolved(box, 'grid'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' });
  const stepped = uPlot.paths.stepped({ align: 1 });
  return {
    width: Math.max(200, box.clientWidth),
    height,
    legend: { show: false },
    scales: { x: { range: (_, low, high) => span() ?? [low, high] }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, Math.ceil((high ?? 1) * 1.05))] } },
    axes: [{ ...axis(), values: (_, moments, __, ___, step) => moments.map((at) => (step >= day ? date(at * 1000) : clock(at * 1000))) }, { ...axis(), size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9] }],
    series: [{}, ...series.map((name) => ({ label: labels[name], stroke: () => resolved(box, name), width: name === 'available' ? 2 : 1.5, paths: stepped, points: { show: false } }))],
    cursor: {
      drag: { x: false, y: false },
      points: { show: false },
      bind: {
        mousedown: (self, target, handler) => (event) => {
          handler(event);
          const move = (moved) => {
            const x = moved.clientX - self.over.getBoundingClientRect().left;
            onMoment(self.posToVal(Math.min(self.over.clientWidth, Math.max(0, x)), 'x') * 1000);
          };
          move(event);
          const end = () => { removeEventListener('pointermove', move); removeEventListener('pointerup', end); };
          addEventListener('pointermove', move);
          addEventListener('pointerup', end);
        },
      },
    },
  };
}

/**
 * Draws a chart in an element. onMoment is called with the time, in milliseconds, under a pointer that drags; clock and
 * date write a time.
 */
export function makeChart(box, settings) {
  const { onMoment } = settings;
  let span = null; // a product that is younger has points in a part of it only
  const plot = new uPlot(options(box, settings, () => span), [[], ...series.map(() => [])], box);
  const line = document.createElement('div');
  line.className = 'chosen';
  line.hidden = true;
  plot.over.append(line);
  const sizes = new ResizeObserver(() => plot.setSize({ width: Math.max(200, box.clientWidth), height }));
  sizes.observe(box);
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  const redraw = () => plot.redraw();
  scheme.addEventListener('change', redraw);
  const theme = new MutationObserver(redraw);
  theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  // A finger drags in time; up and down it scrolls the page.
  plot.over.addEventListener('touchmove', (event) => {
    const x = event.touches[0].clientX - plot.over.getBoundingClientRect().left;
    onMoment(plot.posToVal(Math.min(plot.over.clientWidth, Math.max(0, x)), 'x') * 1000);
  }, { passive: true });
  return {
    show: ({ since, until, points }) => {
      span = [Date.parse(since) / 1000, Date.parse(until) / 1000];
      plot.setData([
        points.map(({ at }) => Date.parse(at) / 1000), points.map((point) => point.available), points.map((point) => point.reserved), points.map((point) => point.committed),
      ]);
    },
    markMoment: (time) => {
      const x = time ? plot.valToPos(time / 1000, 'x') : 0;
      line.hidden = !time;
      if (time) line.style.left = `${x}px`;
    },
    destroy: () => {
      sizes.disconnect();
      theme.disconnect();
      scheme.removeEventListener('change', redraw);
      plot.destroy();
    },
  };
}
