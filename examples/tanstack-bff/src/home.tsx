import { useQuery, useQueryClient } from '@tanstack/react-query';

type User = { id: string; email: string; name: string };

// Who is signed in; null for nobody.
async function fetchUser(): Promise<User | null> {
  const response = await fetch('/api/session');
  if (response.status === 401) return null;
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.json();
}

export function Home() {
  const client = useQueryClient();
  const session = useQuery({ queryKey: ['session'], queryFn: fetchUser, retry: false });

  async function signOut() {
    await fetch('/api/auth/logout', { method: 'POST' });
    await client.invalidateQueries({ queryKey: ['session'] });
  }

  if (session.isPending) return <p>One moment…</p>;
  if (session.isError) return <p role="alert">{session.error.message}</p>;
  return (
    <>
      <h1>TanStack on floe</h1>
      <p>A page, its router and its queries, served by the back end that signs people in.</p>
      {session.data ? (
        <>
          <p id="user">
            Signed in as <strong>{session.data.name}</strong> ({session.data.email})
          </p>
          <button type="button" onClick={signOut}>Sign out</button>
        </>
      ) : (
        <a className="button" href="/api/auth/login">Sign in</a>
      )}
    </>
  );
}
