import { describe, expect, it } from 'vitest';
import { readSettings, samplePolicies, settingsTable } from '../../src/config/settings.ts';

describe('settings from the environment', () => {
  it('has the defaults of the contract', () => {
    expect(readSettings({}, '/srv/app')).toEqual({
      home: '/srv/app/.writ',
      httpPort: 8080,
      pgPort: 6432,
      clusterPort: 5433,
      idpPort: 8081,
      policies: samplePolicies,
      policiesHere: '/srv/app/policies',
      server: undefined,
      logLevel: 'info',
      launchedByNpm: false,
    });
  });

  it('takes every setting of the table', () => {
    const settings = readSettings(
      {
        WRIT_HOME: '/var/lib/writ',
        WRIT_HTTP_PORT: '0',
        WRIT_PG_PORT: '1',
        WRIT_CLUSTER_PORT: '65535',
        WRIT_IDP_PORT: '9',
        WRIT_POLICIES: 'mine',
        WRIT_SERVER: 'https://writ.example.com/',
        WRIT_LOG_LEVEL: 'debug',
      },
      '/srv',
    );
    expect(settings).toEqual({
      home: '/var/lib/writ',
      httpPort: 0,
      pgPort: 1,
      clusterPort: 65_535,
      idpPort: 9,
      policies: '/srv/mine',
      policiesHere: '/srv/mine',
      server: 'https://writ.example.com',
      logLevel: 'debug',
      launchedByNpm: false,
    });
  });

  it('counts an empty variable as absent', () => {
    expect(readSettings({ WRIT_HTTP_PORT: '' }, '/').httpPort).toBe(8080);
  });

  it.each([
    [{ WRIT_PG_PORT: '65536' }, 'WRIT_PG_PORT is "65536", expected a port from 0 to 65535'],
    [{ WRIT_PG_PORT: '-1' }, 'WRIT_PG_PORT is "-1"'],
    [{ WRIT_PG_PORT: '0x10' }, 'WRIT_PG_PORT is "0x10"'],
    [{ WRIT_SERVER: 'writ.example.com' }, 'WRIT_SERVER is "writ.example.com"'],
    [{ WRIT_SERVER: 'file:///etc' }, 'WRIT_SERVER is "file:///etc"'],
    [{ WRIT_LOG_LEVEL: 'loud' }, 'WRIT_LOG_LEVEL is "loud", expected one of fatal'],
  ])('refuses %j and says why', (env, message) => {
    expect(() => readSettings(env, '/')).toThrow(message);
  });

  it('explains every setting in a sentence', () => {
    for (const row of settingsTable) expect(row.sentence).toMatch(/^[A-Z].*\.$/);
  });
});
