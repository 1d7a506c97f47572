// The identity provider: WorkOS, or whatever speaks its user management API at WORKOS_API_BASE.

import type { Settings } from './settings.ts';

export type User = { id: string; email: string; name: string };

// Where the browser goes to sign in.
export function authorizationUrl(settings: Settings, state: string): string {
  const url = new URL(`${settings.apiBase}/user_management/authorize`);
  url.search = new URLSearchParams({
    client_id: settings.clientId,
    redirect_uri: settings.redirectUri,
    response_type: 'code',
    provider: 'authkit',
    state,
  }).toString();
  return url.href;
}

// Who the provider's code stands for.
export async function authenticate(settings: Settings, code: string): Promise<User> {
  const response = await fetch(`${settings.apiBase}/user_management/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_id: settings.clientId,
      client_secret: settings.apiKey,
      grant_type: 'authorization_code',
      code,
    }),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`the identity provider answered ${response.status}`);
  const { user } = await response.json();
  const name = [user.first_name, user.last_name].filter(Boolean).join(' ');
  return { id: user.id, email: user.email, name: name || user.email };
}
