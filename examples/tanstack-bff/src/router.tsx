import { createRootRoute, createRoute, createRouter, Link, Outlet } from '@tanstack/react-router';
import { Home } from './home.tsx';
import { Health } from './health.tsx';

const root = createRootRoute({
  component: () => (
    <>
      <nav>
        <Link to="/">Home</Link>
        <Link to="/status">Status</Link>
      </nav>
      <main>
        <Outlet />
      </main>
    </>
  ),
});

const home = createRoute({ getParentRoute: () => root, path: '/', component: Home });
const status = createRoute({ getParentRoute: () => root, path: '/status', component: Health });

export const router = createRouter({ routeTree: root.addChildren([home, status]) });

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
