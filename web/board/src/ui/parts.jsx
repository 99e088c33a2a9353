// Small parts that several views use.
import { useEffect, useRef, useState } from 'preact/hooks';
import { t, number } from '../words/words.js';

/** A status in words, with a colour. */
export const Status = ({ status }) => <span class="status" data-status={status}>{status ? t(status) : ''}</span>;

/** A quantity; a product that is not tracked has none. */
export const Quantity = ({ value }) => (value === null ? <span title={t('untracked')} aria-label={t('untracked')} role="img">∞</span> : <>{value === undefined ? '' : number(value)}</>);

/** Which of two equal animations a change starts: the name must differ from the last one. */
export const flashOf = (delta, flashes, changedAt) => (flashes && Date.now() - changedAt < 1500 ? `${delta < 0 ? 'down' : 'up'}${flashes % 2}` : undefined);

/** A row of choices, one of which is pressed. */
export const Choice = ({ label, options, value, onChange }) => (
  <div class="choice" role="group" aria-label={label}>
    {options.map(([name, text]) => (
      <button type="button" key={name} aria-pressed={name === value} onClick={() => onChange(name)}>{text}</button>
    ))}
  </div>
);

export const Select = ({ label, value, options, onChange }) => (
  <label class="field">
    <span>{label}</span>
    <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {options.map(([name, text]) => <option key={name} value={name} selected={name === value}>{text}</option>)}
    </select>
  </label>
);

/** A modal dialog. The browser keeps the focus in it, and gives it back. */
export function Dialog({ title, onClose, children, wide }) {
  const element = useRef();
  useEffect(() => { element.current.showModal(); }, []);
  return (
    <dialog ref={element} class={wide ? 'wide' : ''} aria-label={title} onClose={onClose} onClick={(event) => { if (event.target === element.current) element.current.close(); }}>
      <div class="inside">
        <div class="head"><h2>{title}</h2><button type="button" class="plain" onClick={() => element.current.close()}>{t('close')}</button></div>
        {children}
      </div>
    </dialog>
  );
}

/**
 * The entries of a feed, but the same ones while the pointer or the focus is inside: nothing moves under the finger.
 * Returns what to show, how many wait, a function that shows them, and the properties of the element that is watched.
 */
export function useHeld(entries, keyOf) {
  const [held, setHeld] = useState(null);
  const shown = held ?? entries;
  const newest = shown.length ? keyOf(shown[0]) : undefined;
  const found = newest === undefined ? entries.length : entries.findIndex((entry) => keyOf(entry) === newest);
  const waiting = held ? (found < 0 ? entries.length : found) : 0;
  return {
    shown,
    waiting,
    release: () => setHeld(entries),
    props: {
      onPointerEnter: (event) => { if (event.pointerType === 'mouse') setHeld(entries); },
      onPointerLeave: () => setHeld(null),
      onFocusIn: () => setHeld((now) => now ?? entries),
      onFocusOut: (event) => { if (!event.currentTarget.contains(event.relatedTarget)) setHeld(null); },
    },
  };
}
