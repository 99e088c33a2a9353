// Starts the real server on a free port, with a database in memory.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const repository = new URL('../..', import.meta.url).pathname;
const startLimitMs = 60_000;
const stopLimitMs = 15_000;
const probeIntervalMs = 50;

// Returns a free port below the range of outgoing connections, so that none of them
// takes it before the server starts.
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer().listen(port, '127.0.0.1');
    const free = await once(probe, 'listening').then(() => true, () => false);
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}

async function waitUntilReady(url, process, log) {
  const deadline = Date.now() + startLimitMs;
  while (Date.now() < deadline && process.exitCode === null) {
    const ready = await fetch(`${url}/readyz`).then((answer) => answer.ok, () => false);
    if (ready) return;
    await pause(probeIntervalMs);
  }
  throw new Error(`the server did not become ready (exit code ${process.exitCode}):\n${log()}`);
}

let built;

/** The server's binary: built once for all tests of a file, unless ONHAND_BINARY names one. */
export function serverBinary() {
  if (process.env.ONHAND_BINARY) return process.env.ONHAND_BINARY;
  if (!built) {
    const folder = mkdtempSync(join(tmpdir(), 'onhand-e2e-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    built = join(folder, 'onhand');
    execFileSync('go', ['build', '-o', built, '.'], { cwd: repository, stdio: 'inherit' });
  }
  return built;
}

/** Starts the server, with more settings. Returns url, graphql(), signal() and stop(). */
export async function startServer(settings = {}) {
  const binary = serverBinary();
  const folder = mkdtempSync(join(tmpdir(), 'onhand-e2e-'));
  const address = settings.LISTEN_ADDR ?? `127.0.0.1:${await freePort()}`;
  const child = spawn(binary, [], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, LISTEN_ADDR: address, ADMIN_ADDR: 'off', DATABASE_URL: 'sqlite::memory:', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output = (output + chunk).slice(-20_000); });

  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    const killTimer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
    await exited;
    clearTimeout(killTimer);
    rmSync(folder, { recursive: true, force: true });
  };

  const url = `http://${address}`;
  try {
    await waitUntilReady(url, child, () => output);
  } catch (err) {
    await stop();
    throw err;
  }

  /** Sends one request. A top-level error fails the test. */
  const graphql = async (query, variables) => {
    const answer = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await answer.json();
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  };
  return { url, graphql, stop, signal: (name) => child.kill(name) };
}
