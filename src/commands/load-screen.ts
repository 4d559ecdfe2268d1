import type { openScreen } from '../tui/open-screen.tsx';

/** Loads the full-screen view with React as it is meant for use: it reads `NODE_ENV` while it loads, and only then. */
export async function loadScreen(): Promise<typeof openScreen> {
  const before = process.env['NODE_ENV'];
  process.env['NODE_ENV'] = 'production';
  try {
    return (await import('../tui/open-screen.tsx')).openScreen;
  } finally {
    if (before === undefined) delete process.env['NODE_ENV'];
    else process.env['NODE_ENV'] = before;
  }
}
