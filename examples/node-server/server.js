#!/usr/bin/env node
// Serves a page on / and its state on /health; everything else is 404.
// PORT says where (3000). SIGTERM and SIGINT end it once open requests are answered.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');

const port = Number(process.env.PORT ?? 3000);

const page = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>node-server</title>
  <h1>Hello from Node ${process.version}</h1>
  <p>This page comes out of an image that floe made of a Nix closure.</p>
</html>
`;

// Tries to write to the root directory, which a hardened container forbids.
function rootIsReadOnly() {
  const probe = '/.node-server-probe';
  try {
    fs.writeFileSync(probe, '');
    fs.unlinkSync(probe);
    return false;
  } catch (error) {
    return error.code === 'EROFS' || error.code === 'EACCES';
  }
}

// The capabilities in effect, as the kernel counts them: 0 when all are dropped.
function effectiveCapabilities() {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  return status.match(/^CapEff:\s*([0-9a-f]+)$/m)?.[1] ?? null;
}

function health() {
  return {
    status: 'ok',
    node: process.version,
    uid: process.getuid(),
    gid: process.getgid(),
    pid: process.pid,
    hostname: os.hostname(),
    rootReadOnly: rootIsReadOnly(),
    capabilities: effectiveCapabilities(),
    uptimeSeconds: Math.round(process.uptime()),
  };
}

function answer(response, status, type, body) {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

const server = http.createServer((request, response) => {
  switch (request.url) {
    case '/':
      return answer(response, 200, 'text/html; charset=utf-8', page);
    case '/health':
      return answer(response, 200, 'application/json', `${JSON.stringify(health())}\n`);
    default:
      return answer(response, 404, 'text/plain; charset=utf-8', 'not found\n');
  }
});

server.listen(port, () => console.log(`listening on port ${server.address().port}`));

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => server.close(() => process.exit(0)));
}
