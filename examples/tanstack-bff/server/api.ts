// The back end's own answers: health, session, signing in and out. Everything else is the page's.

import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate, authorizationUrl, type User } from './identity.ts';
import type { Settings } from './settings.ts';
import { sign, verify } from './token.ts';

const SESSION = 'session';
const SESSION_SECONDS = 8 * 60 * 60;

// Ties the provider's answer to the browser that asked.
const LOGIN = 'login';
const LOGIN_SECONDS = 10 * 60;

// Answers a request, and says whether it was one of the back end's.
export async function answerApi(settings: Settings, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /health':
      sendJson(response, 200, { status: 'ok', node: process.version, uptimeSeconds: Math.round(process.uptime()) });
      return true;
    case 'GET /api/session': {
      const user = sessionUser(settings, request);
      sendJson(response, user ? 200 : 401, user ?? { error: 'nobody is signed in' });
      return true;
    }
    case 'GET /api/auth/login': {
      const state = randomBytes(16).toString('base64url');
      const cookie = setCookie(settings, LOGIN, sign({ state }, LOGIN_SECONDS, settings.jwtSecret), LOGIN_SECONDS);
      redirect(response, authorizationUrl(settings, state), [cookie]);
      return true;
    }
    case 'GET /api/auth/callback':
      await finishLogin(settings, request, response, url);
      return true;
    case 'POST /api/auth/logout':
      response.writeHead(204, { 'set-cookie': setCookie(settings, SESSION, '', 0) }).end();
      return true;
    default:
      if (!url.pathname.startsWith('/api/')) return false;
      sendJson(response, 404, { error: 'there is nothing here' });
      return true;
  }
}

async function finishLogin(settings: Settings, request: IncomingMessage, response: ServerResponse, url: URL) {
  const login = verify(cookies(request)[LOGIN] ?? '', settings.jwtSecret);
  const [code, state] = [url.searchParams.get('code'), url.searchParams.get('state')];
  if (!login || !code || login.state !== state) {
    sendJson(response, 400, { error: 'this sign-in was not begun here, or took too long: try again' });
    return;
  }
  try {
    const user = await authenticate(settings, code);
    const session = setCookie(settings, SESSION, sign({ user }, SESSION_SECONDS, settings.jwtSecret), SESSION_SECONDS);
    redirect(response, '/', [session, setCookie(settings, LOGIN, '', 0)]);
  } catch (error) {
    console.error('sign-in failed:', error);
    sendJson(response, 502, { error: 'the identity provider did not confirm who you are' });
  }
}

function sessionUser(settings: Settings, request: IncomingMessage): User | null {
  const claims = verify(cookies(request)[SESSION] ?? '', settings.jwtSecret);
  return (claims?.user as User | undefined) ?? null;
}

function cookies(request: IncomingMessage): Record<string, string> {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  return Object.fromEntries(pairs.map(([name, ...value]) => [name, value.join('=')]));
}

function setCookie(settings: Settings, name: string, value: string, seconds: number): string {
  // Browsers refuse secure cookies from plain HTTP, which a machine of one's own speaks.
  const secure = settings.redirectUri.startsWith('https:') ? '; Secure' : '';
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${seconds}${secure}`;
}

function redirect(response: ServerResponse, location: string, set: string[]) {
  response.writeHead(302, { location, 'set-cookie': set }).end();
}

function sendJson(response: ServerResponse, status: number, body: unknown) {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body));
}
