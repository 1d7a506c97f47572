import { useQuery } from '@tanstack/react-query';

export function Health() {
  const health = useQuery({
    queryKey: ['health'],
    queryFn: async (): Promise<Record<string, unknown>> => (await fetch('/health')).json(),
    refetchInterval: 5000,
  });
  return (
    <>
      <h1>Status</h1>
      <pre>{JSON.stringify(health.data, null, 2)}</pre>
    </>
  );
}
