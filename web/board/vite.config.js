// Builds the live board into dist, which the Go package web embeds. The names of the files are
// fixed: package web puts a hash of the folder into their URLs.
import { defineConfig } from 'vite';
import { manifest, notices } from './beside.js';

const out = process.env.BOARD_OUT; // a folder for everything that the build writes, to compare it
const server = process.env.ONHAND_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [notices(out ? `${out}/NOTICES.board.txt` : '../third_party/NOTICES.board.txt'), manifest(out ? `${out}/documents.json` : 'documents.json')],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  // For `npm run dev`: start the server with ALLOWED_ORIGINS=http://127.0.0.1:5173.
  server: { host: '127.0.0.1', port: 5173, strictPort: true, proxy: { '/graphql': { target: server, ws: true } } },
  build: {
    target: 'es2022',
    outDir: out ? `${out}/dist` : 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: true,
    rolldownOptions: {
      input: 'src/main.jsx',
      output: { entryFileNames: 'board.js', chunkFileNames: '[name].js', assetFileNames: 'board[extname]' },
    },
  },
});
