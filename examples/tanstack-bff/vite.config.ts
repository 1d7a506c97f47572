import { tmpdir } from 'node:os';
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig(({ isSsrBuild }) => ({
  plugins: [react()],
  // The development image's root is read-only, and its packages lie in the Nix store.
  cacheDir: join(tmpdir(), 'tanstack-bff-vite'),
  server: { fs: { allow: ['.', '/nix/store', '/node_modules'] } },
  build: { outDir: 'dist/client', emptyOutDir: true, target: isSsrBuild ? 'node22' : 'es2022' },
  // One file that needs no node_modules.
  ssr: { noExternal: true },
}));
