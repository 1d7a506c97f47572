// The production server: the back end, and the page as it was built.

import { fileURLToPath } from 'node:url';
import { answerApi } from './api.ts';
import { listen } from './listen.ts';
import { answerPage } from './pages.ts';
import { readSettings } from './settings.ts';

const settings = readSettings();
const client = fileURLToPath(new URL('../client', import.meta.url));

listen(settings.port, async (request, response) => {
  if (!(await answerApi(settings, request, response))) await answerPage(client, request, response);
});
