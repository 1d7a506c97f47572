// What the server is told by its environment, checked before anything starts.

export type Settings = {
  port: number;
  apiBase: string;
  apiKey: string;
  clientId: string;
  redirectUri: string;
  jwtSecret: string;
};

// HS256 wants a key of at least its digest's size (RFC 7518, section 3.2).
const SHORTEST_SECRET = 32;

type Check = (value: string) => string | null;

const isUrl: Check = (value) => (URL.canParse(value) ? null : 'expected a URL such as http://localhost:3000/api/auth/callback');
const isPort: Check = (value) =>
  /^[1-9][0-9]{0,4}$/.test(value) && Number(value) < 65536 ? null : 'expected a number from 1 to 65535';
const isLong: Check = (value) =>
  value.length >= SHORTEST_SECRET ? null : `expected at least ${SHORTEST_SECRET} characters, such as from: openssl rand -base64 32`;
const isAnything: Check = () => null;

// Reads the settings, or ends the process with a list of all that is wrong with them.
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const problems: string[] = [];
  const read = (name: string, check: Check, fallback?: string): string => {
    const value = env[name] || fallback;
    const problem = value === undefined ? 'not set' : check(value);
    if (problem) problems.push(`${name}: ${problem}`);
    return value ?? '';
  };
  const settings = {
    port: Number(read('PORT', isPort, '3000')),
    apiBase: read('WORKOS_API_BASE', isUrl, 'https://api.workos.com').replace(/\/$/, ''),
    apiKey: read('WORKOS_API_KEY', isAnything),
    clientId: read('WORKOS_CLIENT_ID', isAnything),
    redirectUri: read('WORKOS_REDIRECT_URI', isUrl),
    jwtSecret: read('JWT_SECRET', isLong),
  };
  if (problems.length > 0) {
    console.error(`cannot start: ${problems.length} settings are missing or malformed`);
    for (const problem of problems) console.error(`  ${problem}`);
    console.error('hint: cp .env.docker.example .env.docker, fill it in, and run with --env-file .env.docker');
    process.exit(1);
  }
  return settings;
}
