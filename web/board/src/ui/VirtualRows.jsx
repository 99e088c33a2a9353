// A grid of many rows of one height. Only the rows on the screen are in the document. After a jump, each frame draws some of
// them, and the others without links, lines and buttons until a later frame. One row at a time is in the tab order; arrow
// keys move it. The focused row stays in the document when it is scrolled away, so focus is never lost.
import { useLayoutEffect, useEffect, useMemo, useRef, useState } from 'preact/hooks';

const overscanRows = 6;
const freshRowsMax = 10; // drawn in one frame: so no frame takes long, however far a jump goes

/** Which rows are drawn with links, lines and buttons: those that were, the active one, and some of the others in this order. */
function chooseDrawn(before, ids, activeId) {
  const drawn = new Set();
  let fresh = 0;
  for (const id of ids) {
    if (drawn.has(id)) continue;
    if (!before.has(id) && id !== activeId && (fresh += 1) > freshRowsMax) continue;
    drawn.add(id);
  }
  return drawn;
}

export function VirtualRows({ ids, label, rowHeight, header, row: Row, rowProps, onWindow, onKey, busy, isComplete }) {
  const box = useRef();
  const wantsFocus = useRef(false);
  const [view, setView] = useState({ top: 0, height: 800 });
  const [activeId, setActiveId] = useState(null);
  const drawn = useRef(new Set());
  const [, drawMore] = useState(0);
  const active = useMemo(() => Math.max(0, activeId === null ? 0 : ids.indexOf(activeId)), [ids, activeId]);

  useLayoutEffect(() => {
    const element = box.current;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    let asked = false;
    const onScroll = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => { asked = false; measure(); });
    };
    measure();
    element.addEventListener('scroll', onScroll, { passive: true });
    const sizes = new ResizeObserver(measure);
    sizes.observe(element);
    return () => { element.removeEventListener('scroll', onScroll); sizes.disconnect(); };
  }, []);

  const headHeight = rowHeight < 50 ? 32 : 0; // a phone shows no column heads
  const firstVisible = Math.min(Math.max(0, ids.length - 1), Math.floor(view.top / rowHeight));
  const lastVisible = Math.min(ids.length - 1, Math.ceil((view.top + view.height - headHeight) / rowHeight));
  const first = Math.max(0, firstVisible - overscanRows);
  const last = Math.min(ids.length - 1, lastVisible + overscanRows);

  useEffect(() => onWindow(firstVisible, lastVisible), [ids, firstVisible, lastVisible, onWindow]);

  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    box.current.querySelector(`[data-index="${active}"]`)?.focus({ preventScroll: true });
  });

  const moveTo = (index) => {
    const to = Math.min(ids.length - 1, Math.max(0, index));
    const element = box.current;
    const y = to * rowHeight;
    if (y < element.scrollTop) element.scrollTop = y;
    else if (y + rowHeight + headHeight > element.scrollTop + element.clientHeight) element.scrollTop = y + rowHeight + headHeight - element.clientHeight;
    wantsFocus.current = true;
    setView({ top: element.scrollTop, height: element.clientHeight });
    setActiveId(ids[to]);
  };

  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor((view.height - headHeight) / rowHeight) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -ids.length, End: ids.length }[event.key];
    if (step) {
      event.preventDefault();
      moveTo(active + step);
    } else if (event.target.dataset.index !== undefined && onKey(event.key, ids[active])) event.preventDefault();
  };

  const shown = [];
  for (let index = first; index <= last; index += 1) shown.push(index);
  if (ids.length && (active < first || active > last)) shown.push(active);
  const onScreen = ids.slice(firstVisible, lastVisible + 1);
  drawn.current = chooseDrawn(drawn.current, [...onScreen, ...shown.map((index) => ids[index])], ids[active]);
  const isPartial = drawn.current.size < shown.length;
  useEffect(() => {
    if (!isPartial) return undefined;
    const frame = requestAnimationFrame(() => drawMore((n) => n + 1));
    return () => cancelAnimationFrame(frame);
  });

  return (
    <div class="grid" role="grid" aria-label={label} aria-rowcount={isComplete ? ids.length + 1 : -1} aria-busy={busy} ref={box} onKeyDown={onKeyDown}>
      {header}
      <div class="rows" role="rowgroup" style={{ height: `${ids.length * rowHeight}px` }}>
        {shown.map((index) => (
          <Row
            key={ids[index]} id={ids[index]} index={index} top={index * rowHeight} active={index === active} isDrawn={drawn.current.has(ids[index])}
            onFocus={setActiveId} {...rowProps}
          />
        ))}
      </div>
    </div>
  );
}
