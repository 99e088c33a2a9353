// What the build writes beside the bundle: licences and documents.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as documents from './src/api/documents.js';

const head = `The live board is made of this project's own code and of these packages.`;
const rule = '-'.repeat(78);

/** A plugin for Vite: the licences of all bundled packages, in one file beside the bundle's folder. */
export const notices = (file) => ({
  name: 'onhand-notices',
  generateBundle(_, bundle) {
    const folders = new Set();
    for (const chunk of Object.values(bundle)) {
      for (const id of Object.keys(chunk.modules ?? {})) {
        const found = id.match(/^(.*\/node_modules\/(@[^/]+\/)?[^/]+)\//);
        if (found) folders.add(found[1]);
      }
    }
    const parts = [...folders].sort().map((folder) => {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const licence = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      if (!licence) throw new Error(`no licence text for ${name}`);
      return `\n${rule}\n${name} ${version}\n\n${readFileSync(join(folder, licence), 'utf8').replaceAll('\r', '').trim()}\n`;
    });
    writeFileSync(file, `${head}\n${parts.join('')}`);
  },
});

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const texts = Object.values(documents).flatMap((document) => (typeof document === 'function' ? [document(true), document(false)] : [document]));

/** A plugin for Vite: a manifest of the documents that the board sends, in the form that TRUSTED_DOCUMENTS takes. */
export const manifest = (file) => ({
  name: 'onhand-manifest',
  generateBundle() {
    const entries = texts.map((text) => [sha256(text), text]);
    writeFileSync(file, `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`);
  },
});
