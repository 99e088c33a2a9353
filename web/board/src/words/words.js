// The page's language: its words, and how it writes numbers and times.
import { computed, effect, signal } from '@preact/signals';
import chinese from './chinese.js';
import english from './english.js';

const storageKey = 'onhand:board:language';
const tables = { en: english, zh: chinese };
export const languages = { en: 'English', zh: '中文' };

export const language = signal(localStorage.getItem(storageKey) ?? (navigator.language.startsWith('zh') ? 'zh' : 'en'));

export function setLanguage(name) {
  localStorage.setItem(storageKey, name);
  language.value = name;
}

const table = computed(() => tables[language.value] ?? english);
const locale = computed(() => (language.value === 'zh' ? 'zh-CN' : 'en-GB'));
const numbers = computed(() => new Intl.NumberFormat(locale.value));
const clocks = computed(() => new Intl.DateTimeFormat(locale.value, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }));
const shortClocks = computed(() => new Intl.DateTimeFormat(locale.value, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }));
const dates = computed(() => new Intl.DateTimeFormat(locale.value, { day: 'numeric', month: 'short' }));
const moments = computed(() => new Intl.DateTimeFormat(locale.value, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }));

/** The words of a key. {name} is replaced by the value of that name; a number is written as the language does. */
export const t = (key, values) => (table.value[key] ?? english[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => {
  const value = values?.[name];
  return typeof value === 'number' ? number(value) : String(value ?? '');
});
export const number = (value) => numbers.value.format(value);
/** A change: always with its sign. A true minus sign is as wide as a digit. */
export const signed = (value) => (value < 0 ? `−${number(-value)}` : `+${number(value)}`);
export const clock = (time) => clocks.value.format(new Date(time));
/** The time of a moment of today; of another day its date too. */
export const when = (time) => (new Date(time).toDateString() === new Date().toDateString() ? clock(time) : `${date(time)}, ${shortClock(time)}`);
/** Hours and minutes. */
export const shortClock = (time) => shortClocks.value.format(new Date(time));
export const date = (time) => dates.value.format(new Date(time));
export const moment = (time) => moments.value.format(new Date(time));
const units = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]];
/** A period in the largest unit of which it is a whole number. */
export function duration(seconds) {
  const [unit, size] = units.find(([, size]) => seconds % size === 0);
  return new Intl.NumberFormat(locale.value, { style: 'unit', unit, unitDisplay: 'long' }).format(seconds / size);
}
/** A time that is left, as minutes and seconds. */
export const countdown = (ms) => {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const pad = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ''}${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
};

effect(() => {
  document.documentElement.lang = locale.value;
  document.title = t('title');
});
