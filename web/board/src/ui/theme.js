// Light, dark, or as the system says.
import { effect, signal } from '@preact/signals';

const storageKey = 'onhand:board:theme';

export const theme = signal(localStorage.getItem(storageKey) ?? 'auto');

export function setTheme(name) {
  localStorage.setItem(storageKey, name);
  theme.value = name;
}

export const followTheme = () => effect(() => { document.documentElement.dataset.theme = theme.value; });
