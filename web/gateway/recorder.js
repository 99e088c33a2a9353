// Stands between a gateway and Onhand, and keeps what the gateway sends. An event stream is a GET.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { freePort } from '../e2e/server.js';

/** Passes requests on to a URL. Returns url, requests (headers and parsed bodies) and stop(). */
export async function startRecorder(target) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = request.method === 'POST' ? Buffer.concat(chunks).toString() : undefined;
    requests.push({ method: request.method, authorization: request.headers.authorization, key: request.headers['onhand-gateway-key'], ...(body && JSON.parse(body)) });
    const headers = Object.fromEntries(['content-type', 'accept', 'authorization', 'onhand-gateway-key'].filter((name) => request.headers[name]).map((name) => [name, request.headers[name]]));
    const abort = new AbortController();
    response.on('close', () => abort.abort());
    try {
      const answer = await fetch(new URL(request.url, target), { method: request.method, headers, body, signal: abort.signal });
      response.writeHead(answer.status, { 'Content-Type': answer.headers.get('content-type') });
      for await (const chunk of answer.body) response.write(chunk);
      response.end();
    } catch (err) {
      if (!abort.signal.aborted) response.destroy(err);
    }
  });
  server.listen(await freePort(), '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/graphql`,
    requests,
    stop: () => { server.closeAllConnections(); server.close(); },
  };
}
