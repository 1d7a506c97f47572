// The development server: the back end, and the page from its sources, which Vite reloads when they change.

import { createServer } from 'vite';
import { answerApi } from './api.ts';
import { listen } from './listen.ts';
import { readSettings } from './settings.ts';

const settings = readSettings();

const server = listen(settings.port, async (request, response) => {
  if (!(await answerApi(settings, request, response))) (await vite).middlewares(request, response);
});
// Node reads the settings as they are: Vite's own way writes beside the packages, which lie in a read-only root.
const vite = createServer({ configLoader: 'native', server: { middlewareMode: true, hmr: { server } } });
