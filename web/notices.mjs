// Writes the notices of all packages in the vendored files. It reads their names from
// the source map of GraphiQL's bundle, so none is missing. Packages with the same
// licence share its text, under their copyright lines.
//
//	node notices.mjs path/to/node_modules
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const modules = process.argv[2];
const read = (path) => readFileSync(`${modules}/${path}`, 'utf8');

// Installed in exactly the version that is served. For all others, the bundle does not
// record the version.
const pinned = new Set(['graphiql', 'react', 'react-dom']);
// Not in the source map by package name: GraphiQL's own packages, and the fonts of its style sheet.
const names = new Set(['graphiql', 'react', 'react-dom', '@graphiql/react', '@graphiql/toolkit', '@graphiql/plugin-doc-explorer',
  '@graphiql/plugin-history', 'codemirror-graphql', 'graphql-language-service', '@fontsource/roboto', '@fontsource/fira-code']);
for (const source of JSON.parse(read('graphiql/graphiql.min.js.map')).sources) {
  const name = source.split('node_modules/').pop().match(/^(@[^/]+\/)?[^/.][^/]*(?=\/)/);
  if (source.includes('node_modules/') && name) names.add(name[0]);
}

// Packages without a licence text use the text of a package from the same repository or
// author.
const siblings = {
  '@graphiql/plugin-doc-explorer': 'graphiql', '@graphiql/plugin-history': 'graphiql', '@graphiql/react': 'graphiql',
  '@graphiql/toolkit': 'graphiql', 'codemirror-graphql': 'graphiql', 'graphql-language-service': 'graphiql',
  'react-compiler-runtime': 'react', 'react-remove-scroll-bar': 'react-remove-scroll', 'toggle-selection': 'copy-to-clipboard',
  '@react-aria/utils': '@react-aria/interactions', '@radix-ui/react-use-escape-keydown': '@radix-ui/react-slot',
};

function licenceOf(name) {
  const files = existsSync(`${modules}/${name}`) ? readdirSync(`${modules}/${name}`) : [];
  const file = files.find((entry) => /^licen[cs]e/i.test(entry));
  if (file) return read(`${name}/${file}`);
  if (siblings[name]) return licenceOf(siblings[name]);
  throw new Error(`no licence text for ${name}`);
}

const isCopyright = (line) => /^\s*copyright\s+(\(c\)|©|\d|joyent|mathias|google)/i.test(line) && line.length < 160;
const groups = new Map(); // licence text without copyright lines -> its packages

for (const name of [...names].sort()) {
  const lines = licenceOf(name).replaceAll('\r', '').split('\n');
  const body = lines.filter((line) => !isCopyright(line)).join('\n').trim();
  const key = body.replace(/^#*\s*\(?(the )?mit licen[cs]e( \(mit\))?\)?/i, '').replace(/[\s>]+/g, ' ').trim();
  const group = groups.get(key) ?? { body, members: [] };
  const version = pinned.has(name) ? ` ${JSON.parse(read(`${name}/package.json`)).version}` : '';
  group.members.push([`${name}${version}`, ...lines.filter(isCopyright).map((line) => `    ${line.trim()}`)].join('\n'));
  groups.set(key, group);
}

const rule = '-'.repeat(78);
console.log(`The playground is made of GraphiQL and React, unchanged as published, and of the
packages and fonts bundled inside GraphiQL. Names without a version are inside
that bundle.`);
for (const { body, members } of groups.values()) {
  console.log(`\n${rule}\n${members.join('\n')}\n\n${body}`);
}
