// Signed tokens: JSON Web Tokens with HMAC SHA-256 (RFC 7515, RFC 7519).

import { createHmac, timingSafeEqual } from 'node:crypto';

const HEADER = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'JWT' })).toString('base64url');

function signature(signed: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(signed).digest();
}

// Signs claims that hold for so many seconds.
export function sign(claims: object, seconds: number, secret: string): string {
  const expires = Math.floor(Date.now() / 1000) + seconds;
  const payload = Buffer.from(JSON.stringify({ ...claims, exp: expires })).toString('base64url');
  const signed = `${HEADER}.${payload}`;
  return `${signed}.${signature(signed, secret).toString('base64url')}`;
}

// The claims of a token that this server signed and that has not expired; null for any other.
export function verify(token: string, secret: string): Record<string, unknown> | null {
  const [header, payload, given, ...rest] = token.split('.');
  if (header !== HEADER || !payload || !given || rest.length > 0) return null;
  const expected = signature(`${header}.${payload}`, secret);
  const received = Buffer.from(given, 'base64url');
  if (received.length !== expected.length || !timingSafeEqual(received, expected)) return null;
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return claims.exp > Date.now() / 1000 ? claims : null;
}
